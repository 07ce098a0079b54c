"""Images that a machine makes of its busybox and pushes to the platform's registry."""

from __future__ import annotations

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import LONG, says, until

REGISTRY = "registry.service.consul:5000"
MAKE = """
set -e
rm -rf /tmp/box && mkdir -p /tmp/box/bin && cp /bin/busybox /tmp/box/bin/
echo {name} >/tmp/box/name
tar -C /tmp/box -c . | docker import - {registry}/{name}
docker push {registry}/{name}
"""


def push(lab: KeptLab, name: str, at: str = "consul-1") -> None:
    """Wait until the image is pushed: the login may still be on its way."""
    script = MAKE.format(name=name, registry=REGISTRY)
    until(f"{name} is pushed", LONG, lambda: says(lab, at, "sh", "-c", script))
