"""The rules of a site's security groups on AWS, and how many each has.

AWS tells of one rule too many only in the middle of a deploy, so they are counted before.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.openings import (
    Opening,
    from_networks,
    from_nodes,
    into_gateway,
    out_of_gateway,
    to_networks,
    to_nodes,
)

Rules = Mapping[tuple[str, str], tuple[Opening, ...]]
"""(`from-nodes` and the like, `ingress` or `egress`) → openings."""


def rules(plan: SitePlan, roles: Sequence[Role]) -> Rules:
    """The rules of the groups of `roles`, in which each group has as many as its quota takes.

    Where a group would have more, its rules that differ by neighbouring ports alone become one. SpecError
    where it has too many even so.
    """
    found: dict[tuple[str, str], tuple[Opening, ...]] = {
        ("from-nodes", "ingress"): tuple(from_nodes(plan, roles)),
        ("from-networks", "ingress"): tuple(from_networks(plan, roles)),
        ("to-nodes", "egress"): tuple(to_nodes(plan, roles)),
        ("to-networks", "egress"): tuple(to_networks(plan, roles)),
    }
    if plan.link:
        into, out = tuple(into_gateway(plan, roles)), tuple(out_of_gateway(plan, roles))
        for where, kind, openings in (("into-gateway", "ingress", into), ("out-of-gateway", "egress", out)):
            found[f"{where}-nodes", kind] = tuple(each for each in openings if each.peer)
            found[f"{where}-networks", kind] = tuple(each for each in openings if not each.peer)
    limit = plan.aws.rules_per_group if plan.aws else 0
    full = {group for group, count in counted(plan, roles, found).items() if count > limit}
    fitting = {
        (where, kind): tuple(
            each for role in roles for each in _of(role, openings, together=(role.value, kind) in full)
        )
        for (where, kind), openings in found.items()
    }
    _require(plan, counted(plan, roles, fitting))
    return fitting


def counted(plan: SitePlan, roles: Sequence[Role], found: Rules) -> Counter[tuple[str, str]]:
    """(role, `ingress` or `egress`) → how many rules AWS counts there: one for each range or group."""
    # A linked site's packets that were too large are told in both directions.
    count = Counter((role.value, kind) for role in roles for kind in ("ingress", "egress") if plan.link)
    for (_, kind), openings in found.items():
        for opening in openings:
            count[opening.role.value, kind] += len(opening.networks) or 1
    return count


def _of(role: Role, openings: Iterable[Opening], *, together: bool) -> Iterable[Opening]:
    own = [opening for opening in openings if opening.role is role]
    return neighbours(own) if together else own


def neighbours(openings: Iterable[Opening]) -> list[Opening]:
    """One role's openings with those of neighbouring ports as one; nothing more is open by that."""
    found: list[Opening] = []
    for opening in sorted(openings, key=lambda each: (each.port, each.name)):
        at = next((at for at, before in enumerate(found) if _touch(before, opening)), None)
        if at is None:
            found.append(opening)
        else:
            found[at] = dataclasses.replace(
                found[at],
                name=f"{found[at].name}+{opening.name}",
                last=opening.last,
                why=f"{found[at].why}; {opening.why}",
            )
    return found


def _touch(one: Opening, other: Opening) -> bool:
    same = (one.protocol, one.peer, one.networks) == (other.protocol, other.peer, other.networks)
    return same and one.last + 1 == other.port


def _require(plan: SitePlan, found: Mapping[tuple[str, str], int]) -> None:
    """SpecError where a group has more rules of one direction than `aws.rules_per_group` says it may."""
    limit, region = (plan.aws.rules_per_group, plan.aws.region) if plan.aws else (0, "")
    (role, kind), most = max(found.items(), key=lambda item: item[1], default=(("", ""), 0))
    if most > limit:
        raise SpecError(
            f"sites.{plan.name}.aws.rules_per_group",
            limit,
            f"at least {most}, for the {kind} rules of the group of {role} nodes: have AWS raise its quota "
            f"`Inbound or outbound rules per security group` in {region} and say the new number here, or "
            "take fewer sites, or fewer zones in the others",
        )
