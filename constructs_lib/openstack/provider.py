"""The OpenStack provider of a site's stack."""

from __future__ import annotations

from typing import Any

from constructs_lib.openstack.settings import openstack_of
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Provider, TerraformStack


def site_provider(stack: TerraformStack, plan: SitePlan) -> Provider:
    """The provider for the site's cloud, region and version constraint.

    Credentials never stand in the stack: the plugin takes them from the cloud of that name in clouds.yaml, or
    from the OS_… variables of whoever deploys.
    """
    openstack = openstack_of(plan)
    named: dict[str, Any] = {"cloud": openstack.cloud, "region": openstack.region}
    return Provider(
        stack,
        "openstack",
        "openstack",
        source="terraform-provider-openstack/openstack",
        version=openstack.provider_version,
        **{key: value for key, value in named.items() if value},
    )
