"""cluster.lock.json: what can't be recomputed. Committed, without secrets, never silently changed.

{"version": 1, "cluster": "demo",
 "sites": {"eu": {"platform": "aws", "region": "eu-west-3", "network": "10.20.0.0/16", "ranges": {},
                  "zones": ["a", "b", "c"], "masters": 3, "consul": 1, "placed": {"master-1": "a", …},
                  "pools": {"general": 0, "batch": 1}, "spread": {}, "hosts": {}, "images": {},
                  "disks": {"masters": 50, "consul": 50}}},
 "secrets": ["zookeeper_super_password", …]}
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from constructs_lib.components.model import Role
from constructs_lib.errors import LockError
from constructs_lib.plan.lock_disks import data_disks, grown_disks, shrunk_disks
from constructs_lib.spec.hypervisor_uri import host_of
from constructs_lib.spec.model import ClusterSpec, SiteSpec

VERSION = 1
IF_NEVER_DEPLOYED = "if nothing was ever deployed by this lock, delete it and synthesize again instead"
"""The last line beside misfits: before the first deploy every decision is still free."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)


class SiteLock(_Part):
    """What is fixed of one site."""

    platform: str = "aws"
    """What runs the site's machines; older locks did not say it, and knew only AWS."""
    region: str | None = None
    """The platform's region; None where it has none, or where an older lock did not say it."""
    network: str
    ranges: dict[str, dict[str, str]] = {}
    """Zone → public, control and agents, where cluster.yaml gives them; without, the network's own cut."""
    zones: list[str]
    masters: int
    """Masters made here; 0 where the site has none of its own."""
    consul: int
    placed: dict[str, str]
    """Node name → zone, for every node with a planned address."""
    pools: dict[str, int]
    """Pool name → slot. A pool that cluster.yaml no longer names keeps its slot until its line is deleted."""
    spread: dict[str, list[str]] = {}
    """Pool name → the zones that its agents are spread over, where their addresses follow from that: a zone
    that is added later is for later pools.
    """
    hosts: dict[str, str] = {}
    """Zone → the host that it is, where hosts are named: the zone's disks lie there."""
    images: dict[str, str] = {}
    """Checksum → source of each image that disks were made from, where they stand on it for as long as they
    live. Delete a line once no disk does.
    """
    disks: dict[str, int] = {}
    """masters, consul → GiB of each of their data volumes, which never become smaller."""


class Lock(_Part):
    """The whole file."""

    version: int = VERSION
    cluster: str
    sites: dict[str, SiteLock] = {}
    secrets: list[str] = []

    def with_secrets(self, names: Iterable[str]) -> Lock:
        """A copy that lists `names` as made, beside those listed already."""
        return self.model_copy(update={"secrets": sorted({*self.secrets, *names})})


def read_lock(path: Path) -> Lock | None:
    """The lock at `path`, None when there is no file; LockError when it can't be read as a lock."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise LockError(f"{path.name}: can't be read: {error}") from None
    restore = "restore it from version control; it can't be made again for nodes that run"
    try:
        data = json.loads(text)
    except json.JSONDecodeError as error:
        raise LockError(f"{path.name}:{error.lineno}: not JSON ({error.msg}); {restore}") from None
    if isinstance(data, dict) and isinstance(data.get("version"), int) and data["version"] > VERSION:
        raise LockError(
            f"{path.name}: version: got {data['version']}, expected {VERSION}; "
            "a newer clustermesos wrote it: upgrade this one"
        )
    try:
        return Lock.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise LockError(f"{path.name}: {where}: {first['msg'].lower()}; {restore}") from None


def write_lock(path: Path, lock: Lock) -> None:
    """Replace the file in one step, so that a crash leaves the old one; LockError where it can't be."""
    text = json.dumps(lock.model_dump(), indent=2, ensure_ascii=False) + "\n"
    try:
        _replace(path, text)
    except OSError as error:
        raise LockError(f"{path.name}: can't be written beside cluster.yaml: {error.strerror}") from None


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def complete(spec: ClusterSpec, lock: Lock | None) -> Lock:
    """`lock` with everything added that `spec` needs and it lacks; LockError with every misfit."""
    lock = lock or Lock(cluster=spec.name)
    misfits = [*_cluster_misfits(spec, lock), *_forgotten_sites(spec, lock)]
    sites = dict(lock.sites)
    for name, site in spec.sites.items():
        if name in sites:
            misfits += _site_misfits(f"sites.{name}", site, sites[name], home=name == spec.home)
        if not misfits:
            sites[name] = _complete_site(site, sites.get(name), home=name == spec.home)
    if misfits:
        misfits.append(IF_NEVER_DEPLOYED)
        raise LockError("\n".join(f"cluster.lock.json: {misfit}" for misfit in misfits))
    return lock.model_copy(update={"sites": sites})


def additions(old: Lock | None, new: Lock) -> list[str]:
    """What `new` has and `old` lacks, one line each, for the message that asks to commit the file."""
    lines = []
    for name, site in new.sites.items():
        before = old.sites.get(name) if old else None
        if before is None:
            lines.append(
                f"site {name} ({site.network}, zones {' '.join(site.zones)}, {site.masters} masters)"
            )
        elif site.region != before.region:
            lines.append(f"region {name}/{site.region}")
        known = before.pools if before else {}
        images = before.images if before else {}
        disks = before.disks if before else site.disks
        lines += [f"disk {name}/{owner}" for owner, gib in site.disks.items() if disks.get(owner) != gib]
        lines += [f"image {name}/{digest}" for digest in site.images if digest not in images]
        lines += [f"pool {name}/{pool}" for pool in site.pools if pool not in known]
        if before:
            lines += [f"zone {name}/{zone}" for zone in site.zones if zone not in before.zones]
            lines += [f"node {name}/{node}" for node in site.placed if node not in before.placed]
    lines += [f"secret {name}" for name in new.secrets if not old or name not in old.secrets]
    return lines


def zone_letters(site: SiteSpec) -> list[str]:
    """The site's zones by name: letters from a on when cluster.yaml gives only a number."""
    if isinstance(site.zones, int):
        return [chr(ord("a") + index) for index in range(site.zones)]
    return list(site.zones)


def wanted_nodes(site: SiteSpec, *, home: bool) -> dict[str, tuple[Role, int]]:
    """Node name → role and number, for every node with a planned address; masters at the home site alone."""
    counts = {
        Role.GATEWAY: 1,
        Role.MASTER: site.masters.count if home and not site.masters.existing else 0,
        Role.CONSUL: 0 if site.consul.existing else site.consul.count,
        Role.EDGE: site.edge.count if site.edge else 0,
    }
    return {
        f"{role}-{number}": (role, number) for role, count in counts.items() for number in range(1, count + 1)
    }


def _cluster_misfits(spec: ClusterSpec, lock: Lock) -> Iterable[str]:
    if lock.cluster != spec.name:
        yield (
            f"cluster: locked {lock.cluster!r}, cluster.yaml says {spec.name!r}; "
            "every resource carries the name, so a rename is a new cluster: "
            "keep the old name, or give the new one its own folder"
        )


def _forgotten_sites(spec: ClusterSpec, lock: Lock) -> Iterable[str]:
    """A site that is left out takes its stack along: nothing would destroy what it built."""
    for name in lock.sites:
        if name not in spec.sites:
            yield (
                f"sites.{name}: locked, but cluster.yaml has no such site; its machines would run on with "
                f"nothing that knows them: put it back, `cdktf destroy {lock.cluster}-{name}` alone (with "
                "--ignore-missing-stack-dependencies where other sites call it), then delete "
                f"sites.{name} here"
            )


def _site_misfits(path: str, site: SiteSpec, lock: SiteLock, *, home: bool) -> Iterable[str]:
    if site.platform != lock.platform:
        yield (
            f"{path}.platform: locked {lock.platform}, cluster.yaml says {site.platform}; nothing moves "
            f"between platforms: put {lock.platform} back, or build a new site and move the applications"
        )
        return
    region = site.region
    if lock.region is not None and region != lock.region:
        yield (
            f"{path}.{site.platform}.region: locked {lock.region}, cluster.yaml says {region}; "
            "nothing moves between regions, and Terraform would forget what runs there: "
            f"put {lock.region} back, or build a new site and move the applications"
        )
    yield from _host_misfits(path, site, lock)
    ranges = _ranges(site)
    for zone in lock.zones:
        if zone in zone_letters(site) and ranges.get(zone) != lock.ranges.get(zone):
            yield (
                f"{path}.ranges.{zone}: locked {_cut(lock.ranges.get(zone))}, cluster.yaml says "
                f"{_cut(ranges.get(zone))}; nodes can't change their addresses: put the locked ones back"
            )
    yield from shrunk_disks(path, data_disks(site, home=home), lock.disks)
    yield from grown_disks(path, site, data_disks(site, home=home), lock.disks)
    yield from _node_misfits(path, site, lock, home=home)


def _host_misfits(path: str, site: SiteSpec, lock: SiteLock) -> Iterable[str]:
    hosts = _hosts(site)
    for zone, host in lock.hosts.items():
        if hosts.get(zone, host) != host:
            yield (
                f"{path}.{site.platform}.hosts: zone {zone} is locked to {host}, cluster.yaml says "
                f"{hosts[zone]}; its machines and their data lie on {host}, and Terraform would forget them: "
                "put it back. If it is another name of the same host, change it here too"
            )


def _node_misfits(path: str, site: SiteSpec, lock: SiteLock, *, home: bool) -> Iterable[str]:
    if str(site.network) != lock.network:
        yield (
            f"{path}.network: locked {lock.network}, cluster.yaml says {site.network}; "
            f"nodes can't change their addresses: "
            f"put {lock.network} back, or build a new site and move the applications"
        )
    zones = zone_letters(site)
    if zones[: len(lock.zones)] != lock.zones:
        yield (
            f"{path}.zones: locked {lock.zones}, cluster.yaml says {zones}; "
            "data volumes can't leave their zone: "
            "keep the locked ones first, in this order, and add new ones behind them"
        )
    for node, zone in lock.placed.items():
        if zone not in lock.zones:
            yield (
                f"{path}.placed.{node}: got {zone!r}, expected one of the locked zones {lock.zones}; "
                "restore the file from version control"
            )
    nodes = wanted_nodes(site, home=home)
    masters = sum(role is Role.MASTER for role, _ in nodes.values())
    if masters != lock.masters:
        yield f"{path}.masters.count: {_master_change(lock.masters, masters)}"
    consul = sum(role is Role.CONSUL for role, _ in nodes.values())
    if consul != lock.consul:
        yield (
            f"{path}.consul.count: locked {lock.consul}, cluster.yaml says {consul}; servers that run expect "
            f"{lock.consul} of them: put {lock.consul} back"
        )


def _master_change(old: int, new: int) -> str:
    change = f"locked {old}, cluster.yaml says {new}; "
    if 0 in (old, new):
        return change + (
            "the home site can't move: Mesos' log and ZooKeeper's data are on its masters. Put `masters` "
            "back where it was, or build a new cluster and move the applications"
        )
    if old == 1:
        return change + (
            "one master can't become several in place: its replicated log would have to be deleted. "
            "Put 1 back, or build a new cluster under another name and move the applications"
        )
    if new > old:
        return change + (
            "the running masters must learn the new quorum before the first new one starts: "
            "`clustermesos nodes apply` does that and then lets the new ones in here; cdktf deploy comes "
            f"after it. Or put {old} back"
        )
    return change + (
        "a master leaves only after the others expect fewer: shrinking is not built yet. "
        f"Put {old} back, or build a new cluster and move the applications"
    )


def _complete_site(site: SiteSpec, lock: SiteLock | None, *, home: bool) -> SiteLock:
    zones = zone_letters(site)
    nodes = wanted_nodes(site, home=home)
    placed: Mapping[str, str] = lock.placed if lock else {}
    return SiteLock(
        platform=site.platform,
        region=site.region,
        network=str(site.network),
        ranges=_ranges(site),
        zones=zones,
        masters=sum(role is Role.MASTER for role, _ in nodes.values()),
        consul=sum(role is Role.CONSUL for role, _ in nodes.values()),
        placed={
            **placed,
            **{
                name: zones[(number - 1) % len(zones)]
                for name, (_, number) in nodes.items()
                if name not in placed
            },
        },
        pools=_slots(site, lock.pools if lock else {}),
        spread=_spread(site, lock.spread if lock else {}, zones),
        hosts=_hosts(site),
        images={**(lock.images if lock else {}), **_image(site)},
        disks={**(lock.disks if lock else {}), **data_disks(site, home=home)},
    )


def _hosts(site: SiteSpec) -> dict[str, str]:
    if site.libvirt is None:
        return {}
    return dict(zip(zone_letters(site), map(host_of, site.libvirt.hosts), strict=False))


def _image(site: SiteSpec) -> dict[str, str]:
    image = site.image_file
    return {image.sha256: image.url or image.path or ""} if image else {}


def _ranges(site: SiteSpec) -> dict[str, dict[str, str]]:
    return {zone: {kind: str(cut) for kind, cut in ranges} for zone, ranges in site.ranges.items()}


def _cut(ranges: Mapping[str, str] | None) -> str:
    return "the network's own cut" if ranges is None else " ".join(ranges.values())


def _spread(site: SiteSpec, known: Mapping[str, list[str]], zones: list[str]) -> dict[str, list[str]]:
    wanted = dict.fromkeys(site.agents, zones) if site.facts.plans_agents else {}
    return {**wanted, **known}


def _slots(site: SiteSpec, taken: Mapping[str, int]) -> dict[str, int]:
    slots = dict(taken)
    for pool in site.agents:
        if pool not in slots:
            used = set(slots.values())
            slots[pool] = next(slot for slot in range(len(used) + 1) if slot not in used)
    return slots
