"""What a site takes of an OpenStack project's quota, whose lack shows only in the middle of a deploy.

Neutron's own defaults, 100 rules of security groups in a project, are too few for a whole site.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from constructs_lib.components.model import Role
from constructs_lib.plan.hosts import Sized, root_gib
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.neutron_rules import rule_count
from constructs_lib.spec.model import ConsulSpec, MastersSpec


def quota(plan: SitePlan, *, own_network: bool = True) -> dict[str, Any]:
    """Everything of the site at once, by the words of `openstack quota show`; empty where there is none.

    `cores` and `ram` (MiB) count machines whose size cluster.yaml gives; others are in `flavors`, by name and
    number. Without `own_network` the site stands in a network that something else made.
    """
    if plan.openstack is None:
        return {}
    machines = [(sized, count) for sized, count in _machines(plan) if count]
    sized = [(spec, count) for spec, count in machines if not spec.flavor]
    flavors: Counter[str] = Counter()
    for spec, count in machines:
        if spec.flavor:
            flavors[spec.flavor] += count
    instances = sum(count for _, count in machines)
    kept = [(spec, count) for spec, count in machines if isinstance(spec, MastersSpec | ConsulSpec)]
    balancers = int(bool(plan.edge_spec and plan.edge_spec.load_balancer))
    return {
        "instances": instances,
        "cores": sum(spec.cpus * count for spec, count in sized),
        "ram": sum(spec.memory_gib * 1024 * count for spec, count in sized),
        **({"flavors": dict(sorted(flavors.items()))} if flavors else {}),
        "volumes": instances + sum(count for _, count in kept),
        "gigabytes": sum(root_gib(spec) * count for spec, count in machines)
        + sum(spec.disk_gib * count for spec, count in kept),
        **({"networks": 1, "subnets": 1, "routers": 1} if own_network else {}),
        # With a network of the site's own the router's and DHCP's; a balancer's is Octavia's in the project.
        "ports": instances + (2 if own_network else 0) + balancers,
        "floating-ips": 1 + _public_edges(plan),
        "secgroups": len(plan.roles),
        "secgroup-rules": rule_count(plan, plan.roles),
        "server-groups": len({Role.MASTER, Role.CONSUL} & set(plan.roles)),
        **({"load-balancers": balancers} if balancers else {}),
    }


def _public_edges(plan: SitePlan) -> int:
    if plan.edge_spec is None or not plan.edge_spec.public:
        return 0
    return 1 if plan.edge_spec.load_balancer else plan.edge_spec.count


def _machines(plan: SitePlan) -> Iterator[tuple[Sized, int]]:
    specs: dict[Role, Sized | None] = {
        Role.MASTER: plan.masters_spec,
        Role.CONSUL: plan.consul_spec,
        Role.GATEWAY: plan.gateway_spec,
        Role.EDGE: plan.edge_spec,
    }
    for role, spec in specs.items():
        if spec:
            yield spec, len(plan.nodes_of(role))
    for pool in plan.pools:
        yield pool.spec, pool.max
