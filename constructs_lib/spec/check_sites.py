"""Sites of one cluster: exactly one home site, and a way between every two gateways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from constructs_lib.components.site_link import SITE_LINK
from constructs_lib.spec.findings import Check, Finding, Path, Settings

if TYPE_CHECKING:
    from constructs_lib.spec.model import SiteSpec

_PORT = SITE_LINK.port("wireguard").number


def _several(settings: Settings) -> Iterator[tuple[str, SiteSpec]]:
    """Every site, where there are several; none where one was taken out, since it might be the answer."""
    taken_out = any(bad[:1] == ("sites",) and len(bad) <= 2 for bad in settings.broken)
    if len(settings.cluster.sites) > 1 and not taken_out:
        yield from settings.cluster.sites.items()


def _home(settings: Settings) -> Iterator[Finding]:
    sites = list(_several(settings))
    if not sites or not all(settings.intact("sites", name, "masters") for name, _ in sites):
        return
    saying = [name for name, site in sites if "masters" in site.model_fields_set]
    if not saying:
        yield Finding(
            ("sites",),
            f"got {len(sites)} sites and no masters, expected `masters: {{count: 3}}` in the one site that "
            "is to hold them, the home site",
        )
    for name in saying[1:]:
        yield Finding(
            ("sites", name, "masters"),
            f"got a second home site, expected masters in one site alone, and {saying[0]} has them: agents "
            "of every site join those, so delete one of the two",
        )


def _way(settings: Settings) -> Iterator[Finding]:
    sites = list(_several(settings))
    if not sites or not all(settings.intact("sites", name, "link") for name, _ in sites):
        return
    if not any(site.reachable for _, site in sites):
        yield Finding(
            ("sites",),
            "got no gateway that another site's can call, expected one at least: `link: {endpoint: …}` with "
            f"the public name or address of a router that passes UDP port {_PORT} on to the gateway",
        )


def _endpoints(settings: Settings) -> Iterator[Finding]:
    for name, site in settings.cluster.sites.items():
        path: Path = ("sites", name, "link")
        if not settings.intact(*path) or not settings.intact("sites", name, "platform"):
            continue
        link = site.link
        if link.reachable is False and link.endpoint is not None:
            yield Finding(
                (*path, "endpoint"), "got an endpoint beside reachable: false, expected one or the other"
            )
        elif link.reachable and link.endpoint is None and not site.facts.public_gateway:
            yield Finding(
                (*path, "reachable"),
                f"got true without an endpoint, expected one: {site.facts.title} gives the gateway no public "
                "address",
            )
        if "port" in link.model_fields_set and link.endpoint is None:
            yield Finding((*path, "port"), f"got {link.port} without an endpoint, expected both or none")


def _existing(settings: Settings) -> Iterator[Finding]:
    for name, site in _several(settings):
        path: Path = ("sites", name)
        if site.consul.existing and settings.intact(*path, "consul"):
            yield Finding(
                (*path, "consul", "existing"),
                "got Consul servers that run already beside other sites, expected servers that are made "
                "here, which know the other sites' from the start",
            )
        outside = [address for address in site.masters.existing if address not in site.network]
        if outside and settings.intact(*path, "masters") and settings.intact(*path, "network"):
            yield Finding(
                (*path, "masters", "existing"),
                f"got {outside[0]}, expected an address in the site's network {site.network}: the links "
                "carry no other",
            )


def _buckets(settings: Settings) -> Iterator[Finding]:
    sites = list(_several(settings))
    if not sites or not all(settings.intact("sites", name, "masters") for name, _ in sites):
        return
    homes = [name for name, site in sites if "masters" in site.model_fields_set]
    for name, site in sites:
        path: Path = ("sites", name, "registry", "bucket")
        cache = len(homes) == 1 and name not in homes
        if cache and site.registry.bucket and settings.intact(*path):
            yield Finding(
                path,
                f"got {site.registry.bucket}, expected none outside the home site {homes[0]}: the registry "
                "here is a cache of that one's, which deletes images after a month, also from a bucket that "
                "others use. Delete the line",
            )


CHECKS: tuple[Check, ...] = (_home, _way, _endpoints, _existing, _buckets)
