"""How many rules a security group holds: AWS tells of one too many only in the middle of a deploy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from constructs_lib.aws.settings import aws_of
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.openings import Opening


def counted(kind: str, openings: Iterable[Opening]) -> Counter[tuple[str, str]]:
    """(role, `ingress` or `egress`) → how many rules AWS counts there: one for each range or group."""
    found: Counter[tuple[str, str]] = Counter()
    for opening in openings:
        found[opening.role.value, kind] += len(opening.networks) or 1
    return found


def require_rules(plan: SitePlan, found: Counter[tuple[str, str]]) -> None:
    """SpecError where a group has more rules of one direction than `aws.rules_per_group` says it may."""
    limit = aws_of(plan).rules_per_group
    (role, kind), most = max(found.items(), key=lambda item: item[1], default=(("", ""), 0))
    if most > limit:
        raise SpecError(
            f"sites.{plan.name}.aws.rules_per_group",
            limit,
            f"at least {most}, for the {kind} rules of the group of {role} nodes: have AWS raise its quota "
            f"`Inbound or outbound rules per security group` in {aws_of(plan).region} and say the new number "
            "here, or take fewer sites, or fewer zones in the others",
        )
