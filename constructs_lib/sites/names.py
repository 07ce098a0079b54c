"""Names of what a site is made of."""

from __future__ import annotations

import hashlib

from constructs_lib.plan.model import SitePlan


def prefix(plan: SitePlan) -> str:
    """`demo-eu`: what every name in the account or project starts with."""
    return f"{plan.cluster}-{plan.name}"


def short_name(plan: SitePlan, suffix: str, *, limit: int) -> str:
    """`demo-eu-edge`, or with its middle replaced by six hex digits of its hash where it exceeds `limit`."""
    name = f"{prefix(plan)}-{suffix}"
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    kept = name[: limit - len(digest) - len(suffix) - 2].rstrip("-")
    return f"{kept}-{digest}-{suffix}"
