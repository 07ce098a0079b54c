"""Log shipping: off until cluster.yaml names a target, and a folder for whoever ships in another way.

With `nodes: {logs: tcp://…}` rsyslog sends there what the journal holds, and keeps it on disk while nobody
listens. Anything else is a file in /etc/rsyslog.d or another shipper, added by `cloud_config:`.
"""

from __future__ import annotations

from constructs_lib.components.model import AptPackages, Component, File, Role, UnitActive

UNIT = "rsyslog.service"

LOGS = Component(
    name="logs",
    summary="sends every node's log to the place that `nodes.logs` names",
    roles=tuple(Role),
    only_where="plan.nodes_spec.logs",
    software=AptPackages(names=("rsyslog",)),
    also_runs_from=("preinstalled",),
    files=(File("forward.conf.j2", to="/etc/rsyslog.d/30-clustermesos.conf", restarts=UNIT),),
    units=(UNIT,),
    health=(UnitActive(unit=UNIT),),
)
