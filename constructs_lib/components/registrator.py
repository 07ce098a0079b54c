"""Registrator on agents: tells Consul which containers publish which ports.

It ends when Docker's event stream does, so its unit starts it again for ever; `-cleanup` and `-resync` repair
what was missed meanwhile.
"""

from __future__ import annotations

from constructs_lib.components.model import (
    CommandSucceeds,
    Component,
    ContainerImage,
    File,
    Role,
    Secret,
    UnitActive,
)

UNIT = "registrator.service"
CHECK = "/usr/local/libexec/registrator-check"

REGISTRATOR = Component(
    name="registrator",
    summary="registers containers' published ports in Consul",
    roles=(Role.AGENT,),
    software=ContainerImage(name="fayrus/registrator", version="v9.2.0"),
    also_runs_from=("preinstalled",),
    files=(
        File("registrator.service.j2", to=f"/etc/systemd/system/{UNIT}", restarts=UNIT),
        File("registrator-check.j2", to=CHECK, mode=0o755),
    ),
    units=(UNIT,),
    secrets=(
        Secret(
            name="consul_service_token",
            kind="token",
            roles=(Role.AGENT,),
            to="/etc/registrator/consul-token",
            per_site=True,
            restarts=UNIT,
        ),
    ),
    health=(UnitActive(unit=UNIT), CommandSucceeds(command=(CHECK,))),
)
