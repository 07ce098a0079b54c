"""One security group per role; every rule is a line of the plan's traffic table, in both directions.

What the rules are, and why they are keyed by what they say: `constructs_lib.sites.neutron_rules`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.openstack.settings import openstack_of
from constructs_lib.openstack.tags import neutron_tags
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.sites.neutron_rules import DIRECTIONS, NeutronRule, neutron_rules, too_large_rules
from constructs_lib.terraform import Construct, Resource, TerraformElement, literal
from constructs_lib.terraform.local_value import local_value
from constructs_lib.terraform.naming import place_of

_LONGEST = 255
"""Characters of a rule's description."""


class Firewall(Construct):
    """The groups of `roles` (by default every role that the plan has machines for) and their rules.

    Machines of the same site are let in by reference to their group, everyone else by range. A role that is
    not among `roles`, because something else made its machines, counts as everyone else. The rules that
    neutron itself puts into a new group, everything outwards, are deleted.
    """

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        roles: Sequence[Role] | None = None,
    ) -> None:
        super().__init__(scope, id)
        openstack_of(plan)
        self.roles = tuple(roles) if roles is not None else plan.roles
        self._group = Resource(
            self,
            "Resource",
            "openstack_networking_secgroup_v2",
            for_each={role.value: f"{plan.cluster} {plan.name}: {role} nodes" for role in self.roles},
            name=f"{prefix(plan)}-${{each.key}}",
            description="${each.value}",
            delete_default_rules=True,
            tags=neutron_tags(plan),
        )
        self.rules: tuple[TerraformElement, ...] = (*self._rules(plan), *self._too_large(plan))

    def group_id(self, role: Role) -> str:
        """The id of the role's group, as an expression; SpecError when this firewall does not have it."""
        if role not in self.roles:
            raise SpecError("firewall.role", role.value, f"one of {[known.value for known in self.roles]}")
        return self._group.each(role.value, "id")

    def _rules(self, plan: SitePlan) -> Iterator[TerraformElement]:
        for direction in DIRECTIONS:
            by_group, by_range = neutron_rules(plan, self.roles, direction)
            yield from self._made(f"{direction}-by-group", direction, by_group, "remote_group_id")
            yield from self._made(f"{direction}-by-range", direction, by_range, "remote_ip_prefix")

    def _too_large(self, plan: SitePlan) -> Iterator[TerraformElement]:
        """The gateway's word that a packet was too large for a tunnel."""
        rules = {
            key: {"group": self.group_id(role), "direction": direction}
            for key, (role, direction) in too_large_rules(plan, self.roles).items()
        }
        if not rules:
            return
        yield Resource(
            self,
            "too-large",
            "openstack_networking_secgroup_rule_v2",
            for_each=rules,
            security_group_id="${each.value.group}",
            direction="${each.value.direction}",
            ethertype="IPv4",
            protocol="icmp",
            # For ICMP these are type and code: destination unreachable, fragmentation needed.
            port_range_min=3,
            port_range_max=4,
            remote_ip_prefix=str(plan.network),
            description="path MTU",
            lifecycle={"ignore_changes": ["description"]},
        )

    def _rule(self, rule: NeutronRule) -> dict[str, Any]:
        opening = rule.opening
        return {
            "group": self.group_id(opening.role),
            "port": opening.port,
            "last": opening.last,
            "protocol": opening.protocol,
            "why": literal(opening.why[:_LONGEST]),
            # A range is written as IPv4Network writes it: neutron stores it so, and would differ for ever.
            "peer": self.group_id(rule.peer) if isinstance(rule.peer, Role) else str(rule.peer),
        }

    def _made(
        self, id: str, direction: str, rules: Mapping[str, NeutronRule], peer: str
    ) -> Iterator[TerraformElement]:
        if not rules:
            return
        given: dict[str, Any] = {peer: "${each.value.peer}"}
        said = {key: self._rule(rule) for key, rule in rules.items()}
        yield Resource(
            self,
            id,
            "openstack_networking_secgroup_rule_v2",
            for_each=local_value(place_of(self).child(id), "rules", said),
            security_group_id="${each.value.group}",
            direction=direction,
            ethertype="IPv4",
            protocol="${each.value.protocol}",
            port_range_min="${each.value.port}",
            port_range_max="${each.value.last}",
            description="${each.value.why}",
            # Other words would close the port for a moment: every change of a rule is another rule.
            lifecycle={"ignore_changes": ["description"]},
            **given,
        )
