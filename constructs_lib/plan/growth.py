"""More masters: the plan of the step before, in which the running ones learn what quorum is to come.

Mesos and ZooKeeper want it in this order, and each step is safe to stay at:

    1. the running masters get the new Mesos quorum, their number as before (this module; `nodes apply`)
    2. the lock lets the new ones in, and a deploy starts them, with all servers in ZooKeeper's list
    3. the old ones get that list, one at a time (`nodes apply`)

A Mesos master must never run beside more than twice its quorum less one, and a ZooKeeper server that was
restarted with five names does not join two that know three: docs/decisions/2026-11-26-nodes-apply.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass

from constructs_lib.plan.lock import Lock
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.spec.model import ClusterSpec


@dataclass(frozen=True, kw_only=True)
class Growth:
    """A site whose cluster.yaml names more masters than its lock: `old` and `new` of them."""

    site: str
    old: int
    new: int

    @property
    def quorum(self) -> int:
        """Of the new number."""
        return self.new // 2 + 1

    @property
    def masters(self) -> tuple[str, ...]:
        """The names of those that come."""
        return tuple(f"master-{number}" for number in range(self.old + 1, self.new + 1))


def growths(spec: ClusterSpec, lock: Lock | None) -> tuple[Growth, ...]:
    """The sites that wait for step 1. One master can't become several: the lock refuses that itself."""
    locked = lock.sites if lock else {}
    return tuple(
        Growth(site=name, old=locked[name].masters, new=site.masters.count)
        for name, site in spec.sites.items()
        if name in locked and not site.masters.existing and 1 < locked[name].masters < site.masters.count
    )


def as_locked(spec: ClusterSpec, growing: Iterable[Growth]) -> ClusterSpec:
    """`spec` with as many masters as run."""
    sites = dict(spec.sites)
    for growth in growing:
        site = sites[growth.site]
        masters = site.masters.model_copy(update={"count": growth.old})
        sites[growth.site] = site.model_copy(update={"masters": masters})
    return spec.model_copy(update={"sites": sites})


def with_quorum(cluster: ClusterPlan, growing: Iterable[Growth]) -> ClusterPlan:
    """The plan of step 1: nothing but the quorum is as it will be."""
    sites = dict(cluster.sites)
    for growth in growing:
        sites[growth.site] = dataclasses.replace(sites[growth.site], quorum=growth.quorum)
    return dataclasses.replace(cluster, sites=sites)


def grown(lock: Lock, growing: Iterable[Growth]) -> Lock:
    """The lock after step 1: it lets the new masters in."""
    sites = dict(lock.sites)
    for growth in growing:
        sites[growth.site] = sites[growth.site].model_copy(update={"masters": growth.new})
    return lock.model_copy(update={"sites": sites})
