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
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import Provider, TerraformStack
from constructs_lib.terraform.naming import StackRecord, place_of

_OF_HOSTS: WeakKeyDictionary[StackRecord, dict[str, Provider | None]] = WeakKeyDictionary()
"""Stack → URI of a host → its provider, None for the stack's default one."""


def site_provider(stack: TerraformStack, plan: SitePlan) -> Provider | None:
    """The provider for the first zone's host; those of further zones have the zone's letter as alias.

    Whoever deploys logs in to the hosts by their own SSH keys or certificates; no credential stands in the
    stack. Terraform's plan needs every host. A second cluster in the stack calls it too: it takes the
    providers of hosts that are known already (None is the stack's default one), and the aliases of its own
    are `<cluster>-<site>-<zone>`.
    """
    libvirt = libvirt_of(plan)
    known = _OF_HOSTS.setdefault(place_of(stack).stack, {})
    second = bool(known)
    made: list[Provider | None] = []
    for zone, uri in zip(plan.zones, libvirt.hosts, strict=True):
        if uri not in known:
            alias = f"{prefix(plan)}-{zone.name}" if second else zone.name if known else None
            provider = Provider(
                stack,
                f"libvirt-{alias}" if alias else "libvirt",
                "libvirt",
                source="dmacvicar/libvirt",
                version=libvirt.provider_version,
                alias=alias,
                uri=uri,
            )
            made.append(provider)
            known[uri] = provider if alias else None
        else:
            made.append(known[uri])
    if not made:
        raise SpecError(f"sites.{plan.name}.libvirt.hosts", [], "at least one host")
    return made[0]


def provider_of(scope: Scope, plan: SitePlan, zone: ZonePlan) -> Provider | None:
    """The provider of a zone's host, None for the stack's default one; SpecError where it was not made.

    A stack whose provider is your own, made without `site_provider`, is one host's.
    """
    known = _OF_HOSTS.get(place_of(scope).stack, {})
    host = libvirt_of(plan).hosts[plan.zones.index(zone)]
    if host in known:
        return known[host]
    if known or zone != plan.zones[0]:
        raise SpecError(
            f"the provider of zone {zone.name}",
            None,
            f"site_provider(stack, plan) with the plan of {prefix(plan)} before this construct",
        )
    return None
