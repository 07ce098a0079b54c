"""The libvirt providers of a site's stack, one for each host.

A provider knows one host, and Terraform can't choose it by key: so what stands on a host is a resource of its
own for each zone.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from constructs import Construct as Scope

from constructs_lib.errors import SpecError
from constructs_lib.libvirt.settings import libvirt_of
from constructs_lib.plan.model import SitePlan, ZonePlan
from constructs_lib.terraform import Provider, TerraformStack
from constructs_lib.terraform.naming import StackRecord, place_of

_OF_ZONES: WeakKeyDictionary[StackRecord, dict[str, Provider]] = WeakKeyDictionary()
"""Stack → zone → provider, of the zones behind the first."""


def site_provider(stack: TerraformStack, plan: SitePlan) -> Provider:
    """The provider for the first zone's host; those of further zones have the zone's letter as alias.

    Whoever deploys logs in to the hosts by their own SSH keys or certificates; no credential stands in the
    stack. Terraform's plan needs every host.
    """
    libvirt = libvirt_of(plan)
    further = _OF_ZONES.setdefault(place_of(stack).stack, {})
    first: Provider | None = None
    for zone, uri in zip(plan.zones, libvirt.hosts, strict=True):
        made = Provider(
            stack,
            f"libvirt-{zone.name}" if first else "libvirt",
            "libvirt",
            source="dmacvicar/libvirt",
            version=libvirt.provider_version,
            alias=zone.name if first else None,
            uri=uri,
        )
        if first:
            further[zone.name] = made
        first = first or made
    if first is None:
        raise SpecError(f"sites.{plan.name}.libvirt.hosts", [], "at least one host")
    return first


def provider_of(scope: Scope, plan: SitePlan, zone: ZonePlan) -> Provider | None:
    """The provider of a zone's host, None for the stack's default one; SpecError where it was not made."""
    if zone == plan.zones[0]:
        return None
    made = _OF_ZONES.get(place_of(scope).stack, {})
    if zone.name not in made:
        raise SpecError(
            f"the provider of zone {zone.name}", None, "site_provider(stack, plan) before this construct"
        )
    return made[zone.name]
