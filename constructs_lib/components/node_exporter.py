"""node_exporter: the machine's own numbers, for Prometheus on the Consul nodes.

Scripts and jobs of the node leave theirs as NAME.prom in its folder, each written whole and then renamed.
"""

from __future__ import annotations

from constructs_lib.components.model import AptPackages, Component, Directory, File, HttpOk, Port, Role

UNIT = "prometheus-node-exporter.service"

NODE_EXPORTER = Component(
    name="node_exporter",
    summary="the machine's own metrics: disks, memory, clock, units",
    roles=tuple(Role),
    software=AptPackages(names=("prometheus-node-exporter",)),
    also_runs_from=("preinstalled",),
    ports=(
        Port("metrics", 9100, (Role.CONSUL,), "Prometheus reads the machine's numbers", metrics="/metrics"),
    ),
    directories=(Directory(path="/var/lib/prometheus/node-exporter"),),
    files=(File("arguments", to="/etc/default/prometheus-node-exporter", restarts=UNIT),),
    units=(UNIT,),
    # Not /metrics: who hangs up before its end has it log a line for each number.
    health=(HttpOk(port="metrics", path="/"),),
)
