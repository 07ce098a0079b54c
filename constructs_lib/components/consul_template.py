"""consul-template: follows Consul's key/value store and catalogue, and runs what takes them over.

On edges that is `edge-config`, with the routes and the instances that pass; on Consul nodes
`prometheus-contracts`, with the contracts' alert rules and where their metrics are.
"""

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
    summary="tells nginx which instances get requests, and Prometheus the contracts' alert rules and targets",
    roles=(Role.EDGE, Role.CONSUL),
    software=AptPackages(names=("consul-template",), version="0.41", repository=CONSUL.software.repository),
    also_runs_from=("preinstalled",),
    packages=("gpg",),
    files=(
        File("consul-template.json.j2", to=f"{_FOLDER}/consul-template.json", restarts=UNIT),
        File("routes.ctmpl", to=f"{_FOLDER}/routes.ctmpl", restarts=UNIT, on=(Role.EDGE,)),
        File("contracts.ctmpl", to=f"{_FOLDER}/contracts.ctmpl", restarts=UNIT, on=(Role.CONSUL,)),
        File("consul-template.service.j2", to=f"/etc/systemd/system/{UNIT}", restarts=UNIT),
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
        Secret(
            name="consul_metrics_token",
            kind="token",
            roles=(Role.CONSUL,),
            to=f"{_FOLDER}/token",
            per_site=True,
            restarts=UNIT,
        ),
    ),
    health=(UnitActive(unit=UNIT),),
)
