"""One security group per role; every rule is a line of the plan's traffic table, in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from constructs import Construct as Scope

from constructs_lib.aws.network import Network
from constructs_lib.aws.settings import prefix
from constructs_lib.aws.tags import tags
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan, TrafficRule
from constructs_lib.terraform import Construct, Expr, Resource, TerraformElement, TerraformStack
from constructs_lib.terraform.naming import logical_id, place_of

_ALLOWED = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 ._-:/()#,@[]+=&;{}!$*")
"""What AWS takes in a rule's description:
https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_IpRange.html."""
_LONGEST = 255

Rules = dict[str, Mapping[str, Any]]


class Firewall(Construct):
    """The groups of `roles` (by default every role that the plan has machines for) and their rules.

    Machines of the same site are let in by reference to their group, everyone else by range. A role that is
    not among `roles`, because something else made its machines, counts as everyone else.
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
        self.roles = tuple(roles) if roles is not None else roles_of(plan)
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
            *self._by_group("from-nodes", "ingress", self._from_nodes(plan)),
            *self._by_range("from-networks", "ingress", self._from_networks(plan)),
            *self._by_group("to-nodes", "egress", self._to_nodes(plan)),
            *self._by_range("to-networks", "egress", self._to_networks(plan)),
        )

    def group_id(self, role: Role) -> str:
        """The id of the role's group, as an expression; SpecError when this firewall does not have it."""
        if role not in self.roles:
            raise SpecError("firewall.role", role.value, f"one of {[known.value for known in self.roles]}")
        return self._group.each(role.value, "id")

    def _from_nodes(self, plan: SitePlan) -> Rules:
        return {
            f"{rule.to}/{rule.name}": self._rule(rule.to, rule, peer=rule.source, why=_text(rule))
            for rule in plan.traffic
            if rule.to in self.roles and rule.source in self.roles
        }

    def _to_nodes(self, plan: SitePlan) -> Rules:
        return {
            f"{rule.source}/{_outward(rule)}": self._rule(
                Role(rule.source), rule, peer=rule.to, why=_text(rule)
            )
            for rule in plan.traffic
            if rule.to in self.roles and rule.source in self.roles
        }

    def _from_networks(self, plan: SitePlan) -> Rules:
        found = {
            f"{rule.to}/{rule.name}": (rule, self._foreign(plan, rule))
            for rule in plan.traffic
            if rule.to in self.roles
        }
        return {
            key: self._rule(rule.to, rule, ranges=networks, why=_text(rule))
            for key, (rule, networks) in found.items()
            if networks
        }

    def _to_networks(self, plan: SitePlan) -> Rules:
        nodes: Rules = {
            f"{rule.source}/{_outward(rule)}": self._rule(
                Role(rule.source), rule, ranges=_where(plan, rule.to), why=_text(rule)
            )
            for rule in plan.traffic
            if rule.source in self.roles and rule.to not in self.roles
        }
        outside: Rules = {
            f"{role}/{egress.name}": self._rule(role, egress, ranges=egress.networks, why=_clean(egress.why))
            for role in self.roles
            for egress in plan.egress
            if role in egress.roles
        }
        return nodes | outside

    def _foreign(self, plan: SitePlan, rule: TrafficRule) -> tuple[IPv4Network, ...]:
        """The rule's ranges that no group of this firewall stands for."""
        if not isinstance(rule.source, Role) or rule.source not in self.roles:
            return rule.networks
        here = {zone.roles[rule.source] for zone in plan.zones}
        return tuple(network for network in rule.networks if network not in here)

    def _rule(
        self,
        role: Role,
        rule: Any,
        *,
        why: str,
        peer: object = None,
        ranges: tuple[IPv4Network, ...] = (),
    ) -> Mapping[str, Any]:
        """The values of one map entry; `rule` gives port and protocol."""
        made: dict[str, Any] = {
            "group": self.group_id(role),
            "port": rule.port,
            "last": rule.last,
            "protocol": rule.protocol,
            "why": why,
        }
        if isinstance(peer, Role):
            return made | {"peer": self.group_id(peer)}
        return made | {"ranges": [str(network) for network in ranges]}

    def _by_group(self, id: str, kind: str, rules: Rules) -> tuple[TerraformElement, ...]:
        return self._rules(id, kind, rules, source_security_group_id="${each.value.peer}")

    def _by_range(self, id: str, kind: str, rules: Rules) -> tuple[TerraformElement, ...]:
        return self._rules(id, kind, rules, cidr_blocks=Expr("each.value.ranges"))

    def _rules(self, id: str, kind: str, rules: Rules, **peer: Any) -> tuple[TerraformElement, ...]:
        if not rules:
            return ()
        made = Resource(
            self,
            id,
            "aws_security_group_rule",
            for_each=self._kept_apart(id, rules),
            type=kind,
            security_group_id="${each.value.group}",
            from_port="${each.value.port}",
            to_port="${each.value.last}",
            protocol="${each.value.protocol}",
            description="${each.value.why}",
            **peer,
        )
        return (made,)

    def _kept_apart(self, id: str, rules: Rules) -> Expr:
        """`rules` as a local value of the stack.

        Terraform works out a literal `for_each` anew for each of its instances, and a hundred rules that
        refer to groups then take a plan from seconds to minutes. A local value is worked out once.
        """
        place = place_of(self).child(id)
        name = f"{logical_id(place, 'local')}_rules"
        place.stack.claim(f"local.{name}", f"{place.path}/rules")
        TerraformStack.of(self).add_override(f"locals.{name}", rules)
        return Expr(f"local.{name}")


def roles_of(plan: SitePlan) -> tuple[Role, ...]:
    """The roles that the plan has machines for, in the order of `Role`."""
    present = {node.role for node in plan.nodes} | ({Role.AGENT} if plan.pools else set())
    return tuple(role for role in Role if role in present)


def _outward(rule: TrafficRule) -> str:
    return f"{rule.component}-{rule.port_name}-to-{rule.to}"


def _where(plan: SitePlan, role: Role) -> tuple[IPv4Network, ...]:
    """Where the machines of a role are that something else made."""
    if role is Role.MASTER and plan.masters:
        return tuple(IPv4Network(address) for address in plan.masters)
    if role is Role.CONSUL and plan.consul:
        return tuple(IPv4Network(address) for address in plan.consul)
    return tuple(zone.roles[role] for zone in plan.zones)


def _text(rule: TrafficRule) -> str:
    return _clean(f"{rule.component} {rule.port_name}: {rule.why}")


def _clean(text: str) -> str:
    return "".join(char for char in text if char in _ALLOWED)[:_LONGEST]
