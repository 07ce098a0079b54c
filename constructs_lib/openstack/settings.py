"""A site's OpenStack settings."""

from __future__ import annotations

import re

from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan, ZonePlan
from constructs_lib.spec.model import OpenstackSpec

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def openstack_of(plan: SitePlan) -> OpenstackSpec:
    """The site's `openstack:` settings; SpecError when the site has none."""
    if plan.openstack is None:
        raise SpecError(
            f"sites.{plan.name}.openstack",
            None,
            "the settings of an OpenStack site, at least {external_network: …, image: …}",
        )
    return plan.openstack


def is_id(word: str) -> bool:
    """Whether it is an id and no name: a UUID, as every OpenStack service gives them."""
    return _ID.fullmatch(word) is not None


def availability_zone(plan: SitePlan, zone: ZonePlan) -> str | None:
    """Nova's name of the zone, None where nova chooses."""
    names = openstack_of(plan).availability_zones
    return names[zone.index] if names else None


def volume_zone(plan: SitePlan, zone: ZonePlan) -> str | None:
    """Cinder's name of the zone, None where cinder chooses."""
    names = openstack_of(plan).volume_zones
    return names[zone.index] if names else None
