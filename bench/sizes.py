"""How large each role's user data is on every platform, compressed: counted, not timed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from bench.platforms import CLUSTERS, PLATFORMS
from constructs_lib.components.model import Role
from constructs_lib.nodes.cloud_init import check_size, pack
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.rollout.wanted import secret_source
from constructs_lib.spec.load import from_dict

BOUND = 12 * 1024
"""Bytes that the text of every role may have on every platform."""
LIMIT = 16_384
"""Bytes that the tightest platform takes, AWS."""
USUAL, EVERYTHING = "the benchmark's clusters", "the same with every option"
KINDS = (USUAL, EVERYTHING)


@dataclass(frozen=True, kw_only=True)
class Size:
    """The largest text of one role in one cluster."""

    kind: str
    """One of `KINDS`."""
    cluster: str
    """One of `bench.platforms.PLATFORMS`."""
    site: str
    role: Role
    bytes: int
    """Compressed, at most, with late values at their longest."""

    @property
    def met(self) -> bool:
        """Whether it is within the bound."""
        return self.bytes <= BOUND


def cluster(platform: str, kind: str) -> dict[str, Any]:
    """The benchmark's cluster.yaml of a platform, as it is or with every option that makes texts longer."""
    loaded: dict[str, Any] = yaml.safe_load((CLUSTERS / f"{platform}.yaml").read_text(encoding="utf-8"))
    return loaded if kind == USUAL else _with_every_option(loaded)


def _with_every_option(loaded: dict[str, Any]) -> dict[str, Any]:
    loaded["software"] = {
        "apt_mirror": "http://mirror.example.org/debian",
        "apt_security_mirror": "http://mirror.example.org/debian-security",
        "proxy": "http://proxy.example.org:3128",
    }
    loaded["nodes"] = {
        "time_servers": ["10.20.0.5", "ntp.example.org", "192.0.2.9"],
        "logs": "tcp://logs.example.org:514",
        "alertmanagers": ["http://alerts.example.org:9093"],
        "preflight_warnings": ["clock", "dns"],
    }
    loaded["admin"]["networks"] = ["203.0.113.0/24", "198.51.100.7/32"]
    loaded["cloud_config"] = {"agent": {"packages": ["nfs-common"], "timezone": "Europe/Paris"}}
    credentials = {"AWS_ACCESS_KEY_ID": "backup/id", "AWS_SECRET_ACCESS_KEY": "backup/key"}
    target = {"repository": "s3:https://s3.example.org/saved", "password": "backup/platform"}
    loaded["backups"] = {"offsite": target | {"credentials": credentials}}
    loaded["app_secrets"] = {"backup/platform": {"pools": [], "made": True}}
    loaded["app_secrets"] |= {name: {"pools": ["general"]} for name in credentials.values()}
    loaded["platform_backup"] = {"to": "offsite"}
    for site in loaded["sites"].values():
        shared = {"source": "10.20.0.5:/export", "options": "vers=4.2,noatime"}
        site["agents"]["general"] |= {"shared": shared, "labels": {"owner": "web-team"}}
        site["registry"] = {"cache": True}
        site["mtu"] = 1400
        if "edge" in site:
            site["edge"] |= {"public": True, "allow": ["192.0.2.0/24"]}
    return loaded


def measured() -> Iterator[Size]:
    """Every kind, cluster, site and role; SpecError or RenderError where one can't be made."""
    for kind in KINDS:
        for platform in PLATFORMS:
            for site in plan(from_dict(cluster(platform, kind))).sites.values():
                for role, size in _largest(site).items():
                    yield Size(kind=kind, cluster=platform, site=site.name, role=role, bytes=size)


def _largest(site: SitePlan) -> dict[Role, int]:
    source, found = secret_source(site), dict.fromkeys(Role, 0)
    members: Sequence[NodePlan | PoolPlan] = (*site.nodes, *site.pools)
    for member in members:
        role = member.role if isinstance(member, NodePlan) else Role.AGENT
        text = pack(render(site, member), source)
        size = check_size(text, site.late_values, LIMIT, f"{site.cluster}/{site.name}/{member.name}")
        found[role] = max(found[role], size)
    return {role: size for role, size in found.items() if size}


def lines(sizes: Sequence[Size]) -> Iterator[str]:
    """docs/user-data.md."""
    yield "# Sizes of user data"
    yield ""
    yield "Written by `make bench` (`python -m scripts.bench_sizes`), which packs every role's texts of the"
    yield "clusters in `bench/clusters` as a deploy does: bytes compressed, with room for what differs from"
    yield "gzip to gzip, and with values that are only known later at their longest. AWS takes at most"
    yield f"{LIMIT:,} bytes, OpenStack 49,149; a libvirt drive has no limit."
    for kind in KINDS:
        yield ""
        yield f"## {kind.capitalize()}: at most {BOUND:,} bytes"
        yield ""
        yield from _table([size for size in sizes if size.kind == kind])
    largest = max(sizes, key=lambda size: size.bytes)
    where = f"{largest.role} on {largest.cluster}, {largest.kind}"
    yield ""
    yield f"The largest: {largest.bytes:,} bytes ({where}), {largest.bytes / LIMIT:.0%} of what AWS takes."
    yield "Every option: a mirror, a proxy, time servers, a log server, an Alertmanager, shared storage, a"
    yield "cache of Docker Hub, public edges, an MTU, labels, packages of one's own, `platform_backup`. What"
    yield "`cloud_config` adds comes on top; a deploy over the platform's limit is refused before it starts."


def _table(sizes: Sequence[Size]) -> Iterator[str]:
    sites = list(dict.fromkeys((size.cluster, size.site) for size in sizes))
    several = {cluster for cluster, _ in sites if sum(cluster == other for other, _ in sites) > 1}
    titles = [f"{cluster}, {site}" if cluster in several else cluster for cluster, site in sites]
    yield f"| role | {' | '.join(titles)} |"
    yield f"|---|{'---|' * len(sites)}"
    for role in Role:
        cells = []
        for site in sites:
            found = [size for size in sizes if (size.cluster, size.site) == site and size.role is role]
            cells.append(_cell(found[0]) if found else "")
        if any(cells):
            yield f"| {role} | {' | '.join(cells)} |"


def _cell(size: Size) -> str:
    return f"{size.bytes:,}" if size.met else f"**{size.bytes:,}**"
