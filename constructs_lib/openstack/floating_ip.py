"""Floating addresses, which outlive the machines that they lead to."""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct as Scope

from constructs_lib.openstack.network import Network
from constructs_lib.openstack.tags import neutron_tags
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Resource


def floating_ips(
    scope: Scope, id: str, plan: SitePlan, network: Network, ports: Mapping[str, str]
) -> Resource:
    """One address per key of `ports`, each leading to that port.

    A machine that is replaced keeps its port, and so its address. Before the router's interface is there
    neutron finds no way from the port to the outside.
    """
    return Resource(
        scope,
        id,
        "openstack_networking_floatingip_v2",
        for_each=ports,
        pool=network.pool,
        port_id="${each.value}",
        description=f"{plan.cluster} {plan.name}: ${{each.key}}",
        tags=neutron_tags(plan),
        depends_on=network.road,
    )
