"""consul-template on the edge: joins the routes of Consul's key/value store with the instances that pass."""

from __future__ import annotations

from constructs_lib.components.consul import CONSUL
from constructs_lib.components.model import (
    AptPackages,
    Component,
    Directory,
    File,
    Role,
    Secret,
    UnitActive,
)

UNIT = "consul-template.service"
_FOLDER = "/etc/consul-template"

assert isinstance(CONSUL.software, AptPackages)
CONSUL_TEMPLATE = Component(
    name="consul_template",
    summary="tells nginx which instances of which version get requests",
    roles=(Role.EDGE,),
    software=AptPackages(names=("consul-template",), version="0.41", repository=CONSUL.software.repository),
    also_runs_from=("preinstalled",),
    packages=("gpg",),
    files=(
        File("consul-template.json.j2", to=f"{_FOLDER}/consul-template.json", restarts=UNIT),
        File("routes.ctmpl", to=f"{_FOLDER}/routes.ctmpl", restarts=UNIT),
        File("consul-template.service", to=f"/etc/systemd/system/{UNIT}", restarts=UNIT),
    ),
    directories=(Directory(path=_FOLDER),),
    units=(UNIT,),
    secrets=(
        Secret(
            name="consul_edge_token",
            kind="token",
            roles=(Role.EDGE,),
            to=f"{_FOLDER}/token",
            per_site=True,
            restarts=UNIT,
        ),
    ),
    health=(UnitActive(unit=UNIT),),
)
