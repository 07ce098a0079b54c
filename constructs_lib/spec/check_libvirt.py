"""What libvirt alone demands of a site's settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from constructs_lib.spec.check_images import one_source
from constructs_lib.spec.check_networks import zone_count
from constructs_lib.spec.findings import Check, Finding, Path, Settings
from constructs_lib.spec.hypervisor_uri import host_of
from constructs_lib.spec.wording import show

if TYPE_CHECKING:
    from constructs_lib.spec.model import LibvirtSpec, SiteSpec

FIRST_ADDRESSES = 10
"""No machine is ever given one of the network's first ten addresses: a router may have them."""


def _on_libvirt(settings: Settings) -> Iterator[tuple[str, SiteSpec, LibvirtSpec]]:
    for name, site in settings.cluster.sites.items():
        own = getattr(site, site.platform)
        if site.libvirt and own is site.libvirt and settings.intact("sites", name, "platform"):
            yield name, site, site.libvirt


def _hosts(settings: Settings) -> Iterator[Finding]:
    for name, site, libvirt in _on_libvirt(settings):
        path: Path = ("sites", name, "libvirt", "hosts")
        if not settings.intact(*path):
            continue
        seen: dict[str, int] = {}
        for index, host in enumerate(map(host_of, libvirt.hosts)):
            first = seen.setdefault(host, index)
            if first != index:
                yield Finding(
                    (*path, index), f"got {host}, which is hosts[{first}] too, expected every host once"
                )
        if settings.intact("sites", name, "zones") and len(libvirt.hosts) != zone_count(site):
            yield Finding(
                path,
                f"got {_count(len(libvirt.hosts), 'host')}, expected {zone_count(site)}, one for each of "
                "the site's zones, in order (see zones): a host is what fails together",
            )


def _networks(settings: Settings) -> Iterator[Finding]:
    for name, site, libvirt in _on_libvirt(settings):
        path: Path = ("sites", name, "libvirt")
        if libvirt.bridge and libvirt.nat:
            yield Finding(
                (*path, "nat"), "got NAT settings beside bridge, expected one: a bridge has its own router"
            )
        elif len(libvirt.hosts) > 1 and not libvirt.bridge and settings.intact(*path, "bridge"):
            yield Finding(
                (*path, "bridge"),
                "missing, expected the bridge that connects the hosts, such as `bridge: {name: br0}`: "
                "a NAT network ends at its host",
            )
        if libvirt.bridge and settings.intact(*path, "bridge") and settings.intact("sites", name, "network"):
            yield from _router((*path, "bridge", "gateway"), site, libvirt)


def _router(path: Path, site: SiteSpec, libvirt: LibvirtSpec) -> Iterator[Finding]:
    gateway = libvirt.bridge.gateway if libvirt.bridge else None
    if gateway is None:
        return
    if gateway not in site.network:
        yield Finding(path, f"got {gateway}, expected an address of the site's network {site.network}")
    elif not 1 <= int(gateway) - int(site.network.network_address) <= FIRST_ADDRESSES:
        yield Finding(
            path,
            f"got {gateway}, expected one of {site.network[1]} to {site.network[FIRST_ADDRESSES]}: "
            "all others may become a machine's",
        )


def _way_in(settings: Settings) -> Iterator[Finding]:
    """Behind NAT nobody comes in but by the host itself."""
    for name, site, libvirt in _on_libvirt(settings):
        doorstep = site.doorstep
        if doorstep is None or len(libvirt.hosts) > 1 or not settings.intact("sites", name, "network"):
            continue
        if not settings.intact("sites", name, "libvirt", "bridge"):
            continue
        networks = settings.cluster.admin.networks
        if settings.intact("admin", "networks") and networks and not any(doorstep in one for one in networks):
            yield Finding(
                ("admin", "networks"),
                f"got no {doorstep}/32, which is the host of site {name}: behind NAT nobody reaches the "
                f"gateway from elsewhere, expected `networks: [{doorstep}/32]`, or libvirt.bridge",
            )
        if site.edge and site.edge.public and settings.intact("sites", name, "edge", "public"):
            yield Finding(
                ("sites", name, "edge", "public"),
                "got true, expected libvirt.bridge beside it: behind NAT no visitor reaches the edge",
            )


def _images(settings: Settings) -> Iterator[Finding]:
    for name, _, libvirt in _on_libvirt(settings):
        path: Path = ("sites", name, "libvirt", "image")
        if settings.intact(*path):
            yield from one_source(path, libvirt.image)


def _pools(settings: Settings) -> Iterator[Finding]:
    for name, _, libvirt in _on_libvirt(settings):
        if libvirt.pool and libvirt.pool_path:
            yield Finding(
                ("sites", name, "libvirt", "pool_path"),
                f"got {libvirt.pool_path} beside pool, expected one or the other: "
                f"{libvirt.pool} exists and has its folder",
            )


def _registry(settings: Settings) -> Iterator[Finding]:
    for name, site, _ in _on_libvirt(settings):
        for setting in ("bucket", "region"):
            value = getattr(site.registry, setting)
            if value is not None:
                yield Finding(
                    ("sites", name, "registry", setting),
                    f"got {show(value)}, expected none on libvirt: machines have no identity that a bucket "
                    "knows, so images lie on the data volume",
                )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


CHECKS: tuple[Check, ...] = (_hosts, _networks, _way_in, _images, _pools, _registry)
