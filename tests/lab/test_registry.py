"""The private registry goes away while nodes pull from it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import LONG, says, stays, until
from tests.lab.drill import Drill
from tests.lab.healthy import HEALTHY_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
REGISTRY, AGENT = "consul-1", "general-1"
PULLERS = (AGENT, "master-1")
SERVICE = "docker-registry.service"
IMAGE = "registry.service.consul:5000/lab/heavy:1"
MAKE = f"""
set -e
rm -rf /tmp/heavy && mkdir -p /tmp/heavy/bin && cp /bin/busybox /tmp/heavy/bin/
head -c 16777216 /dev/urandom >/tmp/heavy/ballast
tar -C /tmp/heavy -c . | docker import - {IMAGE}
rm -rf /tmp/heavy
docker push {IMAGE}
"""
"""Random, so that it can't be packed, and big enough that a pull lasts."""
PULL = f"docker rmi --force {IMAGE} >/dev/null 2>&1; docker pull --quiet {IMAGE}"
PULLS = f"while sleep 0.2; do if {PULL}; then echo pulled; else echo failed; fi; done"
LOOP, UNIT = "drill-pulls", "drill-container"
PROPERTIES = (
    "--property=Restart=always",
    "--property=RestartSec=5",
    "--property=StartLimitIntervalSec=0",
    "--property=ExecStop=/usr/bin/docker stop --time 2 drill",
)
"""As the platform's own units that run a container."""
PULL_SECONDS = LONG


@pytest.fixture
def pushed(lab: KeptLab) -> Iterator[str]:
    """The layers of an image that the agent has pushed; in the end no puller has it any more."""
    until("a push", PULL_SECONDS, lambda: says(lab, AGENT, "sh", "-c", MAKE))
    yield _layers(lab, AGENT)
    lab.run(REGISTRY, "systemctl", "start", SERVICE)
    for name in PULLERS:
        lab.run(name, "systemctl", "stop", LOOP, UNIT, timeout=LONG)
        lab.run(name, "systemctl", "reset-failed", LOOP, UNIT)
        lab.run(name, "docker", "rm", "--force", "drill", timeout=LONG)
    _lack(lab)


def _count(lab: KeptLab, name: str, word: str) -> int:
    """How many pulls of the loop went as `word` says: pulled or failed."""
    said = says(lab, name, "journalctl", "--unit", LOOP, "--output=cat", "--boot")
    return said.splitlines().count(word)


def _layers(lab: KeptLab, name: str) -> str:
    return says(lab, name, "docker", "image", "inspect", "--format", "{{.RootFS.Layers}}", IMAGE)


def _lack(lab: KeptLab) -> None:
    """Take the image away; a pull that was under way when its client ended may still have finished."""

    def gone() -> bool:
        for name in PULLERS:
            lab.run(name, "docker", "rmi", "--force", IMAGE, timeout=LONG)
        return not any(says(lab, name, "docker", "images", "--quiet", IMAGE) for name in PULLERS)

    until("no puller has the image", PULL_SECONDS, gone)
    stays("no puller has the image", gone)


def _pulled_more(lab: KeptLab, name: str, than: int) -> bool:
    return _count(lab, name, "pulled") > than


def _was_restarted(lab: KeptLab, name: str) -> bool:
    return int(says(lab, name, "systemctl", "show", "--property=NRestarts", "--value", UNIT)) > 0


def _runs(lab: KeptLab, name: str) -> bool:
    return lab.run(name, "docker", "ps", "--quiet", "--filter", "name=^drill$").out.strip() != ""


def test_registry_restarted_during_pulls(lab: KeptLab, drill: Drill, pushed: str) -> None:
    for name in PULLERS:
        says(lab, name, "systemd-run", f"--unit={LOOP}", "sh", "-c", PULLS)
    for name in PULLERS:
        until(f"{name} pulls", PULL_SECONDS, partial(_pulled_more, lab, name, 0))
    drill.breaks(
        "an agent and a master pull an image over and over; the registry is restarted three times and killed",
        "it comes back by itself, then all pulls succeed; a unit that had no image to run starts by itself",
    )
    for _ in range(3):
        says(lab, REGISTRY, "systemctl", "restart", SERVICE)
    says(lab, REGISTRY, "systemctl", "kill", "--signal=KILL", SERVICE)
    before = {name: _count(lab, name, "pulled") for name in PULLERS}
    for name, count in before.items():
        # One may have been under way, its image complete.
        until(f"{name} pulls again", PULL_SECONDS, partial(_pulled_more, lab, name, count + 1))
        told = f"{_count(lab, name, 'pulled')} pulls succeeded, {_count(lab, name, 'failed')} failed"
        drill.saw(f"{name} pulls again without a hand: {told} so far")
        says(lab, name, "systemctl", "stop", LOOP)
    says(lab, REGISTRY, "systemctl", "stop", SERVICE)
    _lack(lab)
    for name in PULLERS:
        run = ("docker", "run", "--rm", "--name", "drill", IMAGE, "/bin/busybox", "sleep", "3600")
        says(lab, name, "systemd-run", f"--unit={UNIT}", *PROPERTIES, *run)
    for name in PULLERS:
        until("the unit has failed", PULL_SECONDS, partial(_was_restarted, lab, name))
        assert not _runs(lab, name)
    drill.saw("the registry is stopped: units of an image that no node has can't start their containers")
    says(lab, REGISTRY, "systemctl", "start", SERVICE)
    for name in PULLERS:
        until(f"{name} runs the container", PULL_SECONDS, partial(_runs, lab, name))
        assert _layers(lab, name) == pushed
        says(lab, name, "systemctl", "stop", UNIT)
    drill.saw("the registry is back: both containers run")
    for name in PULLERS:
        for _ in range(3):
            says(lab, name, "sh", "-c", PULL, timeout=PULL_SECONDS)
        assert _layers(lab, name) == pushed
    lab.wait(HEALTHY_SECONDS)
    drill.saw("every pull succeeds, and what is pulled is what was pushed")
