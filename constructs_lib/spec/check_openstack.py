"""What OpenStack alone demands of a site's settings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from constructs_lib.spec.check_images import one_source
from constructs_lib.spec.check_networks import zone_count
from constructs_lib.spec.findings import Check, Finding, Path, Settings
from constructs_lib.spec.wording import show

if TYPE_CHECKING:
    from constructs_lib.spec.model import OpenstackSpec, SiteSpec

LONGEST_METADATA = 255
"""Characters of a value in a server's metadata; nova refuses a longer one when the server is made."""


def _on_openstack(settings: Settings) -> Iterator[tuple[str, SiteSpec, OpenstackSpec]]:
    for name, site in settings.cluster.sites.items():
        own = getattr(site, site.platform)
        if site.openstack and own is site.openstack and settings.intact("sites", name, "platform"):
            yield name, site, site.openstack


def _zones(settings: Settings) -> Iterator[Finding]:
    for name, site, openstack in _on_openstack(settings):
        if not settings.intact("sites", name, "zones"):
            continue
        zones = zone_count(site)
        for setting, given in (
            ("availability_zones", openstack.availability_zones),
            ("volume_zones", openstack.volume_zones),
        ):
            path: Path = ("sites", name, "openstack", setting)
            if not settings.intact(*path):
                continue
            if given and len(given) != zones:
                yield Finding(
                    path,
                    f"got {len(given)} names, expected {zones}, one for each zone of the site, in order",
                )
        path = ("sites", name, "openstack", "availability_zones")
        named = openstack.availability_zones
        if not named and zones > 1 and settings.intact(*path):
            yield Finding(
                path,
                f"missing, expected {zones} names, one for each zone of the site, in order "
                "(`openstack availability zone list --compute`), or `zones: 1`",
            )
        if len(set(named)) != len(named):
            yield Finding(path, "got a name twice, expected every zone once")


def _images(settings: Settings) -> Iterator[Finding]:
    for name, _, openstack in _on_openstack(settings):
        path: Path = ("sites", name, "openstack")
        if not settings.intact(*path, "image") or not settings.intact(*path, "upload"):
            continue
        if openstack.upload and openstack.image:
            yield Finding(
                (*path, "upload"),
                f"stands beside image: {openstack.image}, expected one or the other: one that the "
                "cloud has, or one that it gets",
            )
        elif openstack.upload:
            yield from one_source((*path, "upload"), openstack.upload)
        elif not openstack.image:
            yield Finding(
                (*path, "image"),
                "missing, expected an image by name or id: `image: ubuntu-24.04`, or a file that the "
                "cloud gets: `upload: {url: https://…, sha256: …}`",
            )


def _key_pair(settings: Settings) -> Iterator[Finding]:
    for name, _, openstack in _on_openstack(settings):
        if openstack.key_pair and openstack.public_key:
            yield Finding(
                ("sites", name, "openstack", "public_key"),
                f"stands beside key_pair: {openstack.key_pair}, expected one or the other: the key of a key "
                "pair that is made, or the name of one that there is",
            )


def _registry(settings: Settings) -> Iterator[Finding]:
    for name, site, _ in _on_openstack(settings):
        for setting in ("bucket", "region"):
            value = getattr(site.registry, setting)
            if value is not None:
                yield Finding(
                    ("sites", name, "registry", setting),
                    f"got {show(value)}, expected none on OpenStack: machines have no identity that a bucket "
                    "knows, so images lie on the data volume",
                )


def _metadata(settings: Settings) -> Iterator[Finding]:
    for name, site, _ in _on_openstack(settings):
        yield from _metadata_of(("tags",), settings.cluster.tags)
        for pool_name, pool in site.agents.items():
            yield from _metadata_of(("sites", name, "agents", pool_name, "labels"), pool.labels)


def _metadata_of(path: Path, tags: Mapping[str, str]) -> Iterator[Finding]:
    for key, value in tags.items():
        if not re.fullmatch(r"[a-zA-Z0-9_:. -]+", key):
            yield Finding(
                (*path, key), "expected a key of letters, digits, spaces and _ : . -, as OpenStack takes them"
            )
        elif len(value) > LONGEST_METADATA:
            yield Finding(
                (*path, key),
                f"got {len(value)} characters, expected at most {LONGEST_METADATA}, as OpenStack takes them",
            )


CHECKS: tuple[Check, ...] = (_zones, _images, _key_pair, _registry, _metadata)
