"""Routes to other sites on the nodes themselves, where the platform's network can't be told any.

What a network's renewal, a restart of its daemon or a person takes away is there again within 20 seconds.
"""

from __future__ import annotations

from constructs_lib.components.model import Component, File, Role, UnitActive

SERVICE = "site-routes.service"
TIMER = "site-routes.timer"

SITE_ROUTES = Component(
    name="site_routes",
    summary="routes to the cluster's other sites, through the gateway",
    # The gateway has its own, into the tunnels.
    roles=tuple(role for role in Role if role is not Role.GATEWAY),
    software=None,
    linked=True,
    only_where="plan.facts.routes_on_nodes",
    files=(
        File("site-routes", to="/usr/local/sbin/site-routes", mode=0o755, restarts=TIMER),
        File("site-routes.service.j2", to=f"/etc/systemd/system/{SERVICE}", restarts=TIMER),
        File(TIMER, to=f"/etc/systemd/system/{TIMER}", restarts=TIMER),
    ),
    units=(TIMER,),
    health=(UnitActive(unit=TIMER),),
)
