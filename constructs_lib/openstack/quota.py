"""What a site takes of the project's quota; OpenStack tells of a lack only in the middle of a deploy.

Neutron's own defaults, 100 rules of security groups in a project, are too few for a whole site.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from constructs_lib.components.model import Role
from constructs_lib.openstack.machines import ROOT_GIB
from constructs_lib.plan.model import SitePlan
from constructs_lib.spec.model import ConsulSpec, EdgeSpec, GatewaySpec, MastersSpec, PoolSpec

Sized = MastersSpec | ConsulSpec | GatewaySpec | EdgeSpec | PoolSpec


def quota(plan: SitePlan, *, rules: int) -> dict[str, object]:
    """Everything of the site at once, by the words of `openstack quota show`; `rules` are those made.

    `cores` and `ram` (MiB) count machines whose size cluster.yaml gives; others are in `flavors`, by name.
    """
    machines = [(sized, count) for sized, count in _machines(plan) if count]
    sized = [(spec, count) for spec, count in machines if not spec.flavor]
    flavors: Counter[str] = Counter()
    for spec, count in machines:
        if spec.flavor:
            flavors[spec.flavor] += count
    instances = sum(count for _, count in machines)
    kept = [(spec, count) for spec, count in machines if isinstance(spec, MastersSpec | ConsulSpec)]
    return {
        "instances": instances,
        "cores": sum(spec.cpus * count for spec, count in sized),
        "ram": sum(spec.memory_gib * 1024 * count for spec, count in sized),
        **({"flavors": dict(sorted(flavors.items()))} if flavors else {}),
        "volumes": instances + sum(count for _, count in kept),
        "gigabytes": sum(_root(spec) * count for spec, count in machines)
        + sum(spec.disk_gib * count for spec, count in kept),
        "networks": 1,
        "subnets": 1,
        "routers": 1,
        # The router's own and DHCP's.
        "ports": instances + 2,
        "floating-ips": 1 + (plan.edge_spec.count if plan.edge_spec and plan.edge_spec.public else 0),
        "secgroups": len(plan.roles),
        "secgroup-rules": rules,
        "server-groups": len({Role.MASTER, Role.CONSUL} & set(plan.roles)),
    }


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


def _root(spec: Sized) -> int:
    return spec.disk_gib if isinstance(spec, PoolSpec) else ROOT_GIB
