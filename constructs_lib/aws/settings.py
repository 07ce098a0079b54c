"""A site's AWS settings and the names that are made of it."""

from __future__ import annotations

import hashlib
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


def prefix(plan: SitePlan) -> str:
    """`demo-eu`: what every name in the account starts with."""
    return f"{plan.cluster}-{plan.name}"


def short_name(plan: SitePlan, suffix: str, *, limit: int) -> str:
    """`demo-eu-edge`, or with its middle replaced by six hex digits of its hash where it exceeds `limit`."""
    name = f"{prefix(plan)}-{suffix}"
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    kept = name[: limit - len(digest) - len(suffix) - 2].rstrip("-")
    return f"{kept}-{digest}-{suffix}"


def plugin_generation(plan: SitePlan) -> int | None:
    """The first number of `aws.provider_version`, 6 for `~> 6.0`; None where the constraint names none.

    For the few settings that were renamed, so that no word for them is in every version of the plugin.
    """
    first = re.search(r"\d+", aws_of(plan).provider_version)
    return int(first[0]) if first else None
