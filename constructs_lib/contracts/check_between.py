"""What contracts take from each other: names in Consul, routes, fixed ports, and room."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from constructs_lib.components import COMPONENTS
from constructs_lib.contracts.capacity import offered
from constructs_lib.contracts.marathon_app import service_name
from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.placement import eligible, spots
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.spec.findings import Finding

Contracts = Mapping[str, AppContract]
Check = Callable[[Contracts, ClusterPlan], Iterator[tuple[str, Finding]]]
_PLATFORM = {"consul"} | {
    port.service for component in COMPONENTS for port in component.ports if port.service is not None
}


def _services(contracts: Contracts, plan: ClusterPlan) -> Iterator[tuple[str, Finding]]:
    taken: dict[str, str] = {}
    for name, contract in contracts.items():
        for port in contract.dev.ports if contract.dev.image else ():
            service = service_name(contract, port)
            path = ("name",) if service == name else ("dev", "ports", port)
            if service in _PLATFORM:
                yield (
                    name,
                    Finding(path, f"is {service} in Consul, the platform's own name: expected another"),
                )
            other = taken.setdefault(service, name)
            if other != name:
                yield (
                    name,
                    Finding(path, f"is {service} in Consul, as a port of {other} is: expected another name"),
                )


def _routes(contracts: Contracts, plan: ClusterPlan) -> Iterator[tuple[str, Finding]]:
    taken: dict[tuple[str, str], str] = {}
    for name, contract in contracts.items():
        route = contract.ops.route
        if route is None:
            continue
        other = taken.setdefault((route.host, route.path.rstrip("/")), name)
        if other != name:
            yield (
                name,
                Finding(
                    ("ops", "route"),
                    f"got {route.host}{route.path}, which {other} has too, expected one of its own",
                ),
            )


def _fixed_ports(contracts: Contracts, plan: ClusterPlan) -> Iterator[tuple[str, Finding]]:
    taken: dict[int, str] = {}
    for name, contract in contracts.items():
        for port, number in contract.dev.host_ports.items():
            other = taken.setdefault(number, name)
            if other == name:
                continue
            shared = set(eligible(contract, plan)) & set(eligible(contracts[other], plan))
            if shared:
                where = min(spot.name for spot in shared)
                yield (
                    name,
                    Finding(
                        ("dev", "host_ports", port),
                        f"got {number}, which {other} has on the same agents ({where}), expected another",
                    ),
                )


def _room(contracts: Contracts, plan: ClusterPlan) -> Iterator[tuple[str, Finding]]:
    """The least that all ask for together, against all that there can be; told at the one that asks most."""
    offers = [(spot.pool.max, offered(spot)) for spot in spots(plan)]
    if not contracts or not offers or any(offer is None for _, offer in offers):
        return
    for word, field, unit in (("cpus", "cpus", "CPUs"), ("memory_mib", "mem", "MiB of memory")):
        there = sum(number * getattr(offer, field) for number, offer in offers)
        each = {n: getattr(c.ops, word) * c.ops.instances.min for n, c in contracts.items()}
        total = sum(each.values())
        if total > there:
            name = max(each, key=lambda one: each[one])
            yield (
                name,
                Finding(
                    ("ops", word),
                    f"all contracts together ask for {total:g} {unit} at least, and all agents offer "
                    f"{there:g} at most; this one asks for {each[name]:g}: expected fewer or smaller "
                    "instances, or more agents",
                ),
            )


CHECKS: tuple[Check, ...] = (_services, _routes, _fixed_ports, _room)
