"""nginx on the edge: sends applications' requests to the instances that Consul has, as their routes say.

consul-template runs `edge-config` with what it found; that makes the routes, has `nginx -t` accept them and
reloads. `edge-state` tells the hooks which generation of each route nginx runs with, and who still finishes.
"""

from __future__ import annotations

from constructs_lib.components.model import (
    AptPackages,
    Component,
    Directory,
    File,
    HttpOk,
    Peer,
    Port,
    Role,
)

UNIT = "nginx.service"
STATE = "edge-state.service"

NGINX = Component(
    name="nginx",
    summary="HTTP edge in front of the applications",
    roles=(Role.EDGE,),
    software=AptPackages(names=("nginx",)),
    ports=(
        Port("http", 80, (Peer.ADMIN, Peer.PUBLIC), "applications' visitors"),
        Port("health", 8088, (Peer.FRONTEND,), "the load balancer asks whether this edge lives"),
        Port("serial", 8086, (), "which configuration nginx runs with"),
        Port(
            "state",
            8087,
            (Role.GATEWAY, Role.CONSUL),
            "hooks ask which routes this edge has, Prometheus counts requests",
            metrics="/metrics",
        ),
    ),
    files=(
        File("nginx.conf.j2", to="/etc/nginx/nginx.conf", reloads=UNIT),
        File("edge-config", to="/usr/local/libexec/edge-config", mode=0o755),
        File("edge-state", to="/usr/local/libexec/edge-state", mode=0o755, restarts=STATE),
        File("edge-state.service.j2", to=f"/etc/systemd/system/{STATE}", restarts=STATE),
    ),
    directories=(Directory(path="/var/lib/edge"),),
    units=(STATE, UNIT),
    health=(HttpOk(port="health", path="/healthz"), HttpOk(port="state", path="/state")),
)
