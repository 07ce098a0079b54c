"""What one value alone can't show: settings that don't fit together.

Every check yields `Finding`s. After wrong values were taken out of a file the checks still run on the rest,
so that everything is told at once; a check that reads a value which was taken out stays silent (`intact`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from constructs_lib.spec import (
    check_backups,
    check_cloud_config,
    check_libvirt,
    check_networks,
    check_openstack,
    check_platforms,
    check_sites,
    check_software,
    check_terms,
)
from constructs_lib.spec.fields import LONGEST_TOGETHER
from constructs_lib.spec.findings import Check, Finding, Path, Settings
from constructs_lib.spec.wording import show, show_path

if TYPE_CHECKING:
    from constructs_lib.spec.model import ClusterSpec, ConsulSpec, MastersSpec, PoolSpec


def findings(settings: Settings) -> list[Finding]:
    """All that is wrong between settings, in the order of the checks."""
    checks: tuple[Check, ...] = (
        _sites,
        *check_sites.CHECKS,
        *check_platforms.CHECKS,
        *check_openstack.CHECKS,
        *check_libvirt.CHECKS,
        _pools,
        _existing,
        _edge,
        _admin,
        _state,
        _tags,
        *check_networks.CHECKS,
        *check_software.CHECKS,
        *check_cloud_config.CHECKS,
        *check_terms.CHECKS,
        *check_backups.CHECKS,
    )
    return [finding for check in checks for finding in check(settings)]


def demand(cluster: ClusterSpec) -> None:
    """Raise what pydantic turns into its ValidationError when anything doesn't fit together."""
    found = findings(Settings(cluster))
    if found:
        lines = "\n".join(f"{show_path(finding.path)}: {finding.message}" for finding in found)
        raise PydanticCustomError("together", "{lines}", {"lines": lines, "findings": found})


def _sites(settings: Settings) -> Iterator[Finding]:
    cluster = settings.cluster
    # A wrong site may have been taken out; it still counts.
    taken_out = {str(bad[1]) for bad in settings.broken if bad[:1] == ("sites",) and len(bad) > 1}
    names = taken_out | set(cluster.sites)
    if not names and settings.intact("sites"):
        yield Finding(("sites",), "got no site, expected one such as `eu: {platform: aws, …}`")
    if not settings.intact("name"):
        return
    for site in cluster.sites:
        together = len(cluster.name) + len(site)
        if together > LONGEST_TOGETHER:
            yield Finding(
                ("sites", site),
                f"got {together} characters in the cluster's and the site's name together, expected at most "
                f"{LONGEST_TOGETHER}: AWS load balancers carry both in 32",
            )


def _pools(settings: Settings) -> Iterator[Finding]:
    for name, site in settings.cluster.sites.items():
        for pool_name, pool in site.agents.items():
            path: Path = ("sites", name, "agents", pool_name)
            if all(settings.intact(*path, number) for number in ("count", "min", "max")):
                yield from _pool(path, pool)


def _pool(path: Path, pool: PoolSpec) -> Iterator[Finding]:
    if pool.count is not None and (pool.min is not None or pool.max is not None):
        yield Finding(path, "got count beside min or max, expected count, or min and max")
    elif pool.count is None and pool.min is None and pool.max is None:
        yield Finding(path, "got no number of agents, expected count, or min and max")
    elif pool.count is None and (pool.min is None or pool.max is None):
        there, lacks = ("min", "max") if pool.max is None else ("max", "min")
        yield Finding(path, f"got {there} without {lacks}, expected both")
    elif pool.min is not None and pool.max is not None and pool.min > pool.max:
        yield Finding((*path, "min"), f"got {pool.min}, expected at most max, which is {pool.max}")


def _existing(settings: Settings) -> Iterator[Finding]:
    for name, site in settings.cluster.sites.items():
        if settings.intact("sites", name, "masters"):
            yield from _existing_nodes(("sites", name, "masters"), site.masters)
        if settings.intact("sites", name, "consul"):
            yield from _existing_nodes(("sites", name, "consul"), site.consul)
        both = set(site.masters.existing) & set(site.consul.existing)
        if both:
            path: Path = ("sites", name, "consul", "existing")
            yield Finding(path, f"got {min(both)}, which is a master too, expected a node of its own")


def _existing_nodes(path: Path, spec: MastersSpec | ConsulSpec) -> Iterator[Finding]:
    if not spec.existing:
        return
    if len(set(spec.existing)) != len(spec.existing):
        yield Finding((*path, "existing"), "got an address twice, expected every address once")
    elif len(spec.existing) not in (1, 3, 5):
        yield Finding(
            (*path, "existing"), f"got {len(spec.existing)} addresses, expected 1, 3 or 5: all of them"
        )
    for other in sorted(spec.model_fields_set - {"existing"}):
        value = show(getattr(spec, other))
        yield Finding(
            (*path, other), f"got {value} beside existing, expected one or the other: none are created"
        )


def _edge(settings: Settings) -> Iterator[Finding]:
    for name, site in settings.cluster.sites.items():
        path: Path = ("sites", name, "edge")
        if site.edge is None or not all(settings.intact(*path, part) for part in ("public", "allow")):
            continue
        if site.edge.public and not site.edge.allow:
            yield Finding(
                (*path, "public"),
                "got true without allow, expected `allow: [198.51.100.0/24]` beside it: the networks "
                "that may come in ([0.0.0.0/0] for everybody)",
            )
        if site.edge.allow and not site.edge.public:
            yield Finding((*path, "allow"), "got networks without `public: true`, expected both or neither")


def _admin(settings: Settings) -> Iterator[Finding]:
    admin = settings.cluster.admin
    if not admin.ssh_keys and settings.intact("admin", "ssh_keys"):
        yield Finding(
            ("admin", "ssh_keys"),
            "missing, expected at least one public key, or nobody can log in: "
            "`ssh_keys: [ssh-ed25519 AAAA… you@example.org]`",
        )
    if not admin.networks and settings.intact("admin", "networks"):
        yield Finding(
            ("admin", "networks"),
            "missing, expected at least one network that may reach the gateway: `networks: [203.0.113.7/32]`",
        )
    seen: dict[str, int] = {}
    for index, line in enumerate(admin.ssh_keys):
        body = line.split()[1]
        if body in seen:
            yield Finding(
                ("admin", "ssh_keys", index),
                f"the same key as ssh_keys[{seen[body]}], expected every key once",
            )
        seen.setdefault(body, index)


def _state(settings: Settings) -> Iterator[Finding]:
    state = settings.cluster.state
    if (
        state.kind == "http"
        and settings.intact("state")
        and bool(state.lock_address) != bool(state.unlock_address)
    ):
        there, lacks = (
            ("lock_address", "unlock_address") if state.lock_address else ("unlock_address", "lock_address")
        )
        yield Finding(
            ("state", there), f"stands without {lacks}, expected both, or a lock is never given back"
        )


MOST_TAGS = 40
"""AWS takes 50 per resource; 10 are left for those that are set here (Name, cluster, site, role, pool …)."""


def _tags(settings: Settings) -> Iterator[Finding]:
    tags = settings.cluster.tags
    yield from _tag_keys(("tags",), list(tags))
    if len(tags) > MOST_TAGS:
        yield Finding(
            ("tags",), f"got {len(tags)} tags, expected at most {MOST_TAGS}: AWS takes 50 per resource"
        )
    for name, site in settings.cluster.sites.items():
        for pool_name, pool in site.agents.items():
            path: Path = ("sites", name, "agents", pool_name, "labels")
            yield from _tag_keys(path, list(pool.labels))
            together = len(tags | pool.labels)
            if pool.labels and together > MOST_TAGS:
                yield Finding(path, f"got {together} together with tags, expected at most {MOST_TAGS}")


def _tag_keys(path: Path, keys: list[str]) -> Iterator[Finding]:
    """IAM compares tag keys without case, so that Team and team can't both stand on a role."""
    seen: dict[str, str] = {}
    for key in keys:
        first = seen.setdefault(key.lower(), key)
        if first != key:
            yield Finding(
                (*path, key), f"the same key as {first} but for case, expected one: IAM refuses both"
            )
