"""nginx on the edge; until applications are routed it answers its health check and says so."""

from __future__ import annotations

from constructs_lib.components.model import AptPackages, Component, File, HttpOk, Peer, Port, Role

NGINX = Component(
    name="nginx",
    summary="HTTP edge in front of the applications",
    roles=(Role.EDGE,),
    software=AptPackages(names=("nginx",)),
    ports=(
        Port("http", 80, (Peer.ADMIN, Peer.PUBLIC), "applications' visitors"),
        Port("health", 8088, (Peer.FRONTEND,), "the load balancer asks whether this edge lives"),
    ),
    files=(File("nginx.conf.j2", to="/etc/nginx/nginx.conf", reloads="nginx.service"),),
    units=("nginx.service",),
    health=(HttpOk(port="health", path="/healthz"),),
)
