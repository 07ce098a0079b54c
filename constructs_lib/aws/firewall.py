"""One security group per role; every rule is a line of the plan's traffic table, in both directions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from constructs import Construct as Scope

from constructs_lib.aws.network import Network
from constructs_lib.aws.tags import tags
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.aws_rules import rules
from constructs_lib.sites.names import prefix
from constructs_lib.sites.openings import Opening
from constructs_lib.terraform import Construct, Expr, Resource, TerraformElement
from constructs_lib.terraform.local_value import local_value
from constructs_lib.terraform.naming import place_of

_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=&;{}!$*")
"""What AWS takes in a rule's description:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html."""
_LONGEST = 255


class Firewall(Construct):
    """The groups of `roles` (by default every role that the plan has machines for) and their rules.

    Machines of the same site are let in by reference to their group, everyone else by range. A role that is
    not among `roles`, because something else made its machines, counts as everyone else. SpecError where a
    group would have more rules than AWS' quota takes.
    """

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        network: Network,
        roles: Sequence[Role] | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.roles = tuple(roles) if roles is not None else plan.roles
        self._group = Resource(
            self,
            "Resource",
            "aws_security_group",
            for_each={role.value: f"{plan.cluster} {plan.name}: {role} nodes" for role in self.roles},
            name=f"{prefix(plan)}-${{each.key}}",
            description="${each.value}",
            vpc_id=network.vpc_id,
            tags={**tags(plan, "${each.key}"), "clustermesos:role": "${each.key}"},
        )
        self.rules: tuple[TerraformElement, ...] = (
            *(
                made
                for (where, kind), openings in rules(plan, self.roles).items()
                for made in self._rules(where, kind, openings)
            ),
            *self._too_large(plan),
        )

    def group_id(self, role: Role) -> str:
        """The id of the role's group, as an expression; SpecError when this firewall does not have it."""
        if role not in self.roles:
            raise SpecError("firewall.role", role.value, f"one of {[known.value for known in self.roles]}")
        return self._group.each(role.value, "id")

    def _too_large(self, plan: SitePlan) -> Iterator[TerraformElement]:
        """A linked site's word that a packet was too large for a tunnel."""
        if plan.link is None:
            return
        for kind in ("ingress", "egress"):
            yield Resource(
                self,
                f"too-large-{kind}",
                "aws_security_group_rule",
                for_each={role.value: self.group_id(role) for role in self.roles},
                type=kind,
                security_group_id="${each.value}",
                # For ICMP these are type and code: destination unreachable, fragmentation needed.
                from_port=3,
                to_port=4,
                protocol="icmp",
                description="path MTU",
                cidr_blocks=[str(plan.network)],
            )

    def _rule(self, opening: Opening) -> Mapping[str, Any]:
        """The values of one map entry."""
        made: dict[str, Any] = {
            "group": self.group_id(opening.role),
            "port": opening.port,
            "last": opening.last,
            "protocol": opening.protocol,
            "why": _clean(opening.why),
        }
        if opening.peer:
            return made | {"peer": self.group_id(opening.peer)}
        return made | {"ranges": [str(network) for network in opening.networks]}

    def _rules(self, id: str, kind: str, openings: Sequence[Opening]) -> Iterator[TerraformElement]:
        """All of one kind name a group each, or all name ranges."""
        if not openings:
            return
        if openings[0].peer:
            peer: Mapping[str, Any] = {"source_security_group_id": "${each.value.peer}"}
        else:
            peer = {"cidr_blocks": Expr("each.value.ranges")}
        made = {opening.key: self._rule(opening) for opening in openings}
        yield Resource(
            self,
            id,
            "aws_security_group_rule",
            # A hundred rules that refer to groups.
            for_each=local_value(place_of(self).child(id), "rules", made),
            type=kind,
            security_group_id="${each.value.group}",
            from_port="${each.value.port}",
            to_port="${each.value.last}",
            protocol="${each.value.protocol}",
            description="${each.value.why}",
            **peer,
        )


def _clean(text: str) -> str:
    return "".join(char for char in text if char in _ALLOWED)[:_LONGEST]
