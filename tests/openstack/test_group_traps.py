"""What neutron's groups did with the real plugin 3.4.0: one test for each trap, named after it."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

import pytest

from tests.openstack.clusters import EVERY, Json, stack_of
from tests.openstack.test_machines import MACHINE, PORT, VOLUME, of_kind

RULE = "openstack_networking_secgroup_rule_v2."
GROUP = "openstack_networking_secgroup_v2."
EACH = "${each.value."


@pytest.fixture(scope="module", params=EVERY)
def stack(request: pytest.FixtureRequest) -> Json:
    return stack_of(request.param)


def rules(stack: Json) -> Iterator[tuple[str, Json]]:
    """Key → the attributes of one rule, as Terraform works them out."""
    for body in of_kind(stack, RULE).values():
        for key, each in body["for_each"].items():
            yield (
                key,
                {
                    name: each[value.removeprefix(EACH)[:-1]]
                    if isinstance(value, str) and value.startswith(EACH)
                    else value
                    for name, value in body.items()
                },
            )


def peer(rule: Json) -> str:
    found: str = rule.get("remote_group_id") or rule["remote_ip_prefix"]
    return found


def test_rule_keys_that_are_not_derived_from_their_content(stack: Json) -> None:
    for key, rule in rules(stack):
        role, *more = key.split("/", 3)
        assert f'["{role}"]' in rule["security_group_id"]
        if rule["protocol"] == "icmp":
            # All that differs between these.
            assert more == [rule["direction"]]
            continue
        protocol, ports, end = more
        assert protocol == rule["protocol"]
        first, last = rule["port_range_min"], rule["port_range_max"]
        assert ports in (str(first), f"{first}-{last}")
        assert end in peer(rule)


def test_two_equal_rules_which_neutron_refuses(stack: Json) -> None:
    compared = ("direction", "security_group_id", "protocol", "port_range_min", "port_range_max")
    said = [(*(rule[name] for name in compared), peer(rule)) for _, rule in rules(stack)]
    assert len(said) == len(set(said)) > 50


def test_a_rules_description_that_replaces_it(stack: Json) -> None:
    for body in of_kind(stack, RULE).values():
        assert body["lifecycle"] == {"ignore_changes": ["description"]}


def test_prefixes_that_are_not_canonical(stack: Json) -> None:
    ranges = [rule["remote_ip_prefix"] for _, rule in rules(stack) if "remote_ip_prefix" in rule]
    assert ranges
    for text in ranges:
        assert str(IPv4Network(text)) == text


def test_neutrons_own_rules_that_let_everything_out(stack: Json) -> None:
    for body in of_kind(stack, GROUP).values():
        assert body["delete_default_rules"] is True


def test_protocols_and_ethertypes_in_the_words_that_the_plugin_takes(stack: Json) -> None:
    for _, rule in rules(stack):
        assert rule["ethertype"] == "IPv4"
        assert rule["protocol"] in ("tcp", "udp", "icmp")


def test_a_port_without_a_group_which_gets_the_projects_default_one(stack: Json) -> None:
    for body in of_kind(stack, PORT).values():
        assert len(body["security_group_ids"]) == 1


def test_a_group_that_is_still_in_use_when_it_is_destroyed(stack: Json) -> None:
    """The plugin would wait for its timeout: Terraform has to know whose ports and rules go first."""
    (name,) = of_kind(stack, GROUP)
    named = [group for body in of_kind(stack, PORT).values() for group in body["security_group_ids"]]
    named += [rule["security_group_id"] for _, rule in rules(stack)]
    assert named
    for reference in named:
        assert reference.removeprefix("${").startswith(f"{GROUP}{name}[")


def test_a_rule_for_a_group_and_a_range_at_once(stack: Json) -> None:
    for _, rule in rules(stack):
        assert ("remote_group_id" in rule) != ("remote_ip_prefix" in rule)


def test_a_rule_with_ports_and_no_protocol(stack: Json) -> None:
    for _, rule in rules(stack):
        assert rule["protocol"] and "port_range_min" in rule and "port_range_max" in rule


def test_machines_by_number_of_which_a_smaller_count_takes_others(stack: Json) -> None:
    for kind in (MACHINE, PORT, VOLUME, RULE):
        for name, body in of_kind(stack, kind).items():
            assert "for_each" in body and "count" not in body, name
