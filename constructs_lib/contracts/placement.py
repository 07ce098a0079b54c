"""Where a contract may run: which pools of which sites, and the constraints that say so to Marathon.

Marathon never starts a task on an agent of another region than its master's unless the app has a constraint
on `@region`, and gives no reason then; so every app has one. A region is a site, a zone its zone's letter
(`mesos-agent-config`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from constructs_lib.contracts.model import AppContract
from constructs_lib.plan.model import ClusterPlan, PoolPlan, SitePlan
from constructs_lib.spec.terms import PolicySpec

REGION, ZONE, HOST, POOL = "@region", "@zone", "hostname", "pool"
Constraint = list[str]


@dataclass(frozen=True, kw_only=True, eq=False)
class Spot:
    """A pool at a site; the same one as another of its name."""

    site: SitePlan
    pool: PoolPlan

    @property
    def name(self) -> str:
        """`eu/general`."""
        return f"{self.site.name}/{self.pool.name}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Spot) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)


def spots(plan: ClusterPlan) -> tuple[Spot, ...]:
    """Every pool of the cluster."""
    return tuple(Spot(site=site, pool=pool) for site in plan.sites.values() for pool in site.pools)


def policy_of(contract: AppContract, plan: ClusterPlan) -> PolicySpec | None:
    """The policy that the contract is held to; None where cluster.yaml has none for it."""
    policies = plan.terms.policies
    if contract.ops.policy is not None:
        return policies.get(contract.ops.policy)
    return next((policy for policy in policies.values() if policy.default), None)


def placement_of(contract: AppContract, plan: ClusterPlan) -> Literal["private", "public", "any"]:
    """What the contract says, else its policy's first, else any."""
    policy = policy_of(contract, plan)
    return contract.ops.placement or (policy.placements[0] if policy and policy.placements else "any")


def refusals(contract: AppContract, spot: Spot, plan: ClusterPlan) -> tuple[str, ...]:
    """Why the contract may not run there, all reasons; empty where it may."""
    ops, site, pool = contract.ops, spot.site, spot.pool
    cloud = placement_of(contract, plan)
    attributes = {"pool": pool.name, **pool.spec.attributes}
    found: list[str] = []
    if cloud not in ("any", site.cloud):
        found.append(f"the site is {site.cloud}, asked is {cloud}")
    if ops.sites and site.name not in ops.sites:
        found.append(f"the site is not among {', '.join(ops.sites)}")
    if ops.pools and pool.name not in ops.pools:
        found.append(f"the pool is not among {', '.join(ops.pools)}")
    found += [
        f"{name} is {attributes.get(name, 'not set')}, asked is {value}"
        for name, value in ops.attributes.items()
        if attributes.get(name) != value
    ]
    if ops.nodes and not any(address in site.network for address in ops.nodes):
        found.append("none of ops.nodes is in the site's network")
    if any(volume.kind == "shared" for volume in contract.dev.volumes.values()) and not pool.spec.shared:
        found.append("the pool has no shared file system")
    found += [
        f"the secret {reference} is not for this pool"
        for reference in sorted(set(contract.dev.secrets.values()))
        if reference not in plan.terms.app_secrets or pool.name not in plan.terms.app_secrets[reference].pools
    ]
    if pool.max == 0:
        found.append("the pool has no agents")
    return tuple(found)


def eligible(contract: AppContract, plan: ClusterPlan) -> tuple[Spot, ...]:
    """Where the contract may run."""
    return tuple(spot for spot in spots(plan) if not refusals(contract, spot, plan))


def constraints(contract: AppContract, plan: ClusterPlan) -> list[Constraint]:
    """Marathon's constraints, always with one on the region."""
    allowed = eligible(contract, plan)
    found = where(allowed, plan, contract)
    zones = spread_zones(contract, allowed)
    if zones > 1:
        found.append([ZONE, "GROUP_BY", str(zones)])
    per_host = per_host_of(contract)
    if per_host == 1:
        found.append([HOST, "UNIQUE"])
    elif per_host:
        found.append([HOST, "MAX_PER", str(per_host)])
    return found


def where(allowed: Iterable[Spot], plan: ClusterPlan, contract: AppContract) -> list[Constraint]:
    """The constraints that single out the pools `allowed`: region, pool, attributes, nodes."""
    allowed = tuple(allowed)
    sites = sorted({spot.site.name for spot in allowed} or plan.sites)
    pools = sorted({spot.pool.name for spot in allowed})
    found = [_one_of(REGION, sites)]
    at_these = {spot.pool.name for spot in spots(plan) if spot.site.name in sites and spot.pool.max}
    if pools and at_these != set(pools):
        found.append(_one_of(POOL, pools))
    found += [[name, "IS", value] for name, value in sorted(contract.ops.attributes.items()) if name != POOL]
    if contract.ops.nodes:
        found.append(_one_of(HOST, sorted(map(str, contract.ops.nodes))))
    return found


def _one_of(field: str, values: list[str]) -> Constraint:
    """LIKE takes a regular expression that has to match the whole value."""
    if len(values) == 1:
        return [
            field,
            "IS" if field != HOST else "LIKE",
            values[0] if field != HOST else re.escape(values[0]),
        ]
    return [field, "LIKE", "|".join(re.escape(value).replace("\\-", "-") for value in values)]


def zones_of(allowed: Iterable[Spot]) -> tuple[str, ...]:
    """The letters of the zones where agents are."""
    return tuple(sorted({zone for spot in allowed for zone in _zones(spot)}))


def _zones(spot: Spot) -> list[str]:
    """In the order in which agents are spread; a pool has no more zones than agents."""
    names = list(spot.pool.ranges) or [zone.name for zone in spot.site.zones]
    return names[: spot.pool.max]


def spread_zones(contract: AppContract, allowed: Iterable[Spot]) -> int:
    """Over how many zones instances are spread at least; 1 where they are not.

    One fewer than there are unless the contract says more: Marathon starts no instance twice in a zone while
    a zone of that number has none, so that with all zones demanded the loss of one is never made up for.
    """
    if contract.ops.spread.zones is not None:
        return contract.ops.spread.zones
    # Whatever the number of instances: another one must not make another version.
    if contract.ops.nodes:
        return 1
    return max(1, len(zones_of(allowed)) - 1)


def per_host_of(contract: AppContract) -> int | None:
    """How many instances one agent may have; None for any number.

    Two instances never share a folder on an agent's own disk.
    """
    local = any(volume.kind == "local" and not volume.read_only for volume in contract.dev.volumes.values())
    return 1 if local else contract.ops.spread.per_host
