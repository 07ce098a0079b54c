"""A site's AWS settings and the names that are made of it."""

from __future__ import annotations

import re

from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan, ZonePlan
from constructs_lib.spec.model import AwsSpec


def aws_of(plan: SitePlan) -> AwsSpec:
    """The site's `aws:` settings; SpecError when the site has none."""
    if plan.aws is None:
        raise SpecError(f"sites.{plan.name}.aws", None, "the settings of an AWS site, at least {region: …}")
    return plan.aws


def availability_zone(plan: SitePlan, zone: ZonePlan) -> str:
    """`eu-west-3a`: the region and the zone's letter, never looked up."""
    return f"{aws_of(plan).region}{zone.name}"


def plugin_generation(plan: SitePlan) -> int | None:
    """The first number of `aws.provider_version`, 6 for `~> 6.0`; None where the constraint names none.

    For the few settings that were renamed, so that no word for them is in every version of the plugin.
    """
    first = re.search(r"\d+", aws_of(plan).provider_version)
    return int(first[0]) if first else None
