"""Whether there are agents for a contract: where it may run, how large they are, how many it needs."""

from __future__ import annotations

from collections.abc import Iterator

from constructs_lib.components.mesos_agent import MESOS_AGENT, TASK_PORTS
from constructs_lib.components.model import Role
from constructs_lib.contracts.capacity import asked, most_at_once, offered, room
from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.placement import (
    Spot,
    eligible,
    placement_of,
    refusals,
    spots,
    spread_zones,
    zones_of,
)
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.spec.findings import Finding
from constructs_lib.spec.wording import did_you_mean, one_of


def _names(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    pools = {spot.pool.name for spot in spots(plan)}
    for word, names, known in (
        ("sites", contract.ops.sites, plan.sites),
        ("pools", contract.ops.pools, pools),
    ):
        for index, name in enumerate(names):
            if name not in known:
                near = did_you_mean(name, known)
                hint = f"did you mean {near}?" if near else f"expected {one_of(sorted(known))}"
                yield Finding(("ops", word, index), f"got {name}, which cluster.yaml doesn't have; {hint}")
    for name, reference in contract.dev.secrets.items():
        if reference not in plan.terms.app_secrets:
            near = did_you_mean(reference, plan.terms.app_secrets)
            hint = (
                f"did you mean {near}?"
                if near
                else f"expected `app_secrets: {{{reference}: {{pools: [POOL]}}}}` there"
            )
            yield Finding(
                ("dev", "secrets", name),
                f"refers to {reference}, which cluster.yaml's app_secrets don't have; {hint}",
            )


def _somewhere(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    if any(_names(contract, plan)) or any(_nodes(contract, plan)) or eligible(contract, plan):
        return
    everywhere = spots(plan)
    cloud = placement_of(contract, plan)
    if not everywhere:
        yield Finding(
            ("ops",), "got a contract for a cluster without agents, expected a pool in cluster.yaml"
        )
    elif cloud != "any" and all(site.cloud != cloud for site in plan.sites.values()):
        there = one_of(sorted({site.cloud for site in plan.sites.values()}))
        yield Finding(
            ("ops", "placement"),
            f"got {cloud}, and every site of the cluster is {there}: its data may not be there; expected a "
            f"{cloud} site, or `cloud: {cloud}` at a site that is one",
        )
    else:
        why = "; ".join(f"{spot.name}: {', '.join(refusals(contract, spot, plan))}" for spot in everywhere)
        yield Finding(("ops",), f"no pool may have it: {why}")


def _exactly(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    """Constraints name sites and pools apart, so that they must not let in a pool in between."""
    allowed = eligible(contract, plan)
    sites, pools = {spot.site.name for spot in allowed}, {spot.pool.name for spot in allowed}
    for spot in spots(plan):
        if spot.site.name in sites and spot.pool.name in pools and spot not in allowed and spot.pool.max:
            why = ", ".join(refusals(contract, spot, plan))
            yield Finding(
                ("ops",),
                f"could be started on {spot.name}, where it may not be: {why}; expected ops.sites or "
                "ops.pools that leave it out, since another site's pool of that name is allowed",
            )


def _fits(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    allowed = eligible(contract, plan)
    sizes = {spot: offer for spot in allowed if (offer := offered(spot))}
    if not allowed or len(sizes) < len(allowed):
        return
    want = asked(contract)
    fitting = [spot for spot, offer in sizes.items() if not offer.lacks(want)]
    if not fitting:
        largest = max(sizes, key=lambda spot: (sizes[spot].mem, sizes[spot].cpus))
        yield Finding(
            ("ops",),
            f"is too large for every agent; of the largest, {largest.name}: "
            f"{', '.join(sizes[largest].lacks(want))}; "
            "expected less, or a pool of larger agents in cluster.yaml",
        )
        return
    yield from _enough(contract, fitting)


def _enough(contract: AppContract, fitting: list[Spot]) -> Iterator[Finding]:
    number, both = contract.ops.instances.max, most_at_once(contract)
    alone, together = room(contract, fitting), room(contract, fitting, versions=2)
    if alone is None or together is None or (number <= alone and both <= together):
        return
    agents = ", ".join(f"{spot.name} {spot.pool.max}" for spot in fitting)
    fixed = "; a fixed port in host_ports takes an agent for each instance" if contract.dev.host_ports else ""
    if spread_zones(contract, fitting) > 1:
        fixed += "; they are spread evenly, so that the smallest zone counts"
    strategy, enough = contract.ops.deploy.strategy, number <= alone
    got = f"{number} and {both - number} more while {strategy} replaces them" if enough else f"{number}"
    way = ", or `strategy: recreate`" if enough else ""
    yield Finding(
        ("ops", "instances"),
        f"got {got}, and there is room for {together if enough else alone} (agents at most: {agents}){fixed}"
        f"; expected fewer or smaller instances, or more agents{way}",
    )


def _ports(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    first, last = TASK_PORTS
    for name, number in contract.dev.host_ports.items():
        if not first <= number <= last:
            yield Finding(
                ("dev", "host_ports", name),
                f"got {number}, expected {first} to {last}: agents offer no other port, and their firewalls "
                "let nobody in there",
            )
            continue
        for site in sorted({spot.site.name for spot in eligible(contract, plan)}):
            rules = plan.sites[site].traffic_to(Role.AGENT)
            if not any(r.component == MESOS_AGENT.name and r.port <= number <= r.last for r in rules):
                yield Finding(
                    ("dev", "host_ports", name), f"got {number}, which the firewall of site {site} closes"
                )


def _apart(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    allowed, zones = eligible(contract, plan), contract.ops.spread.zones
    there = zones_of(allowed)
    if allowed and zones is not None and zones > len(there):
        yield Finding(
            ("ops", "spread", "zones"), f"got {zones}, and its agents are in {len(there)}: {', '.join(there)}"
        )


def _local(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    """What is on an agent's disk is there and nowhere else, so the agent has to be known."""
    local = [name for name, volume in contract.dev.volumes.items() if volume.kind == "local"]
    allowed = eligible(contract, plan)
    if not local or not allowed:
        return
    nodes = contract.ops.nodes
    if nodes and contract.ops.instances.max > len(nodes):
        yield Finding(
            ("ops", "nodes"),
            f"got {len(nodes)} for {contract.ops.instances.max} instances, expected one for each",
        )
    agents = sum(spot.pool.max for spot in allowed)
    if not nodes and agents > 1:
        there = ", ".join(spot.name for spot in allowed)
        yield Finding(
            ("dev", "state", "volumes", local[0]),
            f"is on the disk of one agent, and {agents} could be next ({there}): expected `ops: {{nodes: "
            "[10.20.16.4]}` with the agents' addresses, a pool of one agent, or `kind: shared`",
        )


def _nodes(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    for index, address in enumerate(contract.ops.nodes):
        site = next((site for site in plan.sites.values() if address in site.network), None)
        if site is None:
            yield Finding(("ops", "nodes", index), f"got {address}, which is in no site's network")
        elif not site.facts.plans_agents:
            yield Finding(
                ("ops", "nodes", index),
                f"got {address}, at the site {site.name}, where {site.facts.title} gives agents other "
                "addresses whenever they are replaced; expected a pool of one agent",
            )


def _route(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    if contract.ops.route and not any(site.nodes_of(Role.EDGE) for site in plan.sites.values()):
        yield Finding(
            ("ops", "route"),
            "got a route, and no site has an edge, expected `edge: {count: 1}` in cluster.yaml",
        )


def _asked_by_marathon(contract: AppContract, plan: ClusterPlan) -> Iterator[Finding]:
    """A check that ends nothing is Marathon's own, and its masters reach tasks of their own site alone."""
    health = contract.dev.health
    if health is None or health.restart:
        return
    home = next(iter(plan.sites.values())).home
    away = sorted({spot.site.name for spot in eligible(contract, plan)} - {home})
    if away:
        yield Finding(
            ("dev", "health", "restart"),
            f"got false, and it may be started at {one_of(away)}, where Marathon, which asks then, "
            f"reaches no instance; expected true, or `ops: {{sites: [{home}]}}`",
        )


CHECKS = (_names, _somewhere, _exactly, _fits, _ports, _apart, _local, _nodes, _route, _asked_by_marathon)
