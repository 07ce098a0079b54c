"""Rules of one group are counted as AWS counts them, and fewer where the same can be said by fewer."""

from __future__ import annotations

import dataclasses
from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.components.model import Protocol, Role
from constructs_lib.errors import SpecError
from constructs_lib.sites.aws_rules import counted, neighbours, rules
from constructs_lib.sites.openings import Opening
from tests.aws.clusters import CASES, site_plan

NEAR, FAR = (IPv4Network("10.20.16.0/22"),), (IPv4Network("10.30.16.0/22"), IPv4Network("10.30.80.0/22"))


def opening(
    port: int,
    last: int | None = None,
    *,
    protocol: Protocol = "tcp",
    peer: Role | None = None,
    networks: tuple[IPv4Network, ...] = (),
) -> Opening:
    return Opening(
        role=Role.MASTER,
        name=f"{protocol}-{port}-{peer or len(networks)}",
        port=port,
        last=last or port,
        protocol=protocol,
        why=f"port {port}",
        peer=peer,
        networks=networks,
    )


def test_neighbouring_ports_of_the_same_source_are_one_rule_that_says_what_both_are_for() -> None:
    http, scheduler = opening(4400, peer=Role.MASTER), opening(4401, 4403, peer=Role.MASTER)

    [both] = neighbours([scheduler, http])

    assert (both.port, both.last, both.peer) == (4400, 4403, Role.MASTER)
    assert (both.name, both.why) == (f"{http.name}+{scheduler.name}", "port 4400; port 4401")


@pytest.mark.parametrize(
    "other",
    [
        opening(4402, peer=Role.MASTER),
        opening(4401, peer=Role.CONSUL),
        opening(4401, protocol="udp", peer=Role.MASTER),
        opening(4401, networks=NEAR),
    ],
    ids=["a gap", "another source", "another protocol", "ranges"],
)
def test_rules_that_differ_in_more_stay_two(other: Opening) -> None:
    assert len(neighbours([opening(4400, peer=Role.MASTER), other])) == 2


openings = st.lists(
    st.builds(
        opening,
        st.integers(1, 12),
        protocol=st.sampled_from(["tcp", "udp"]),
        networks=st.sampled_from([NEAR, FAR]),
    ),
    unique_by=lambda each: each.name,
    max_size=20,
)


def open_ports(found: list[Opening]) -> set[tuple[int, str, tuple[IPv4Network, ...]]]:
    return {
        (port, each.protocol, each.networks) for each in found for port in range(each.port, each.last + 1)
    }


@given(openings)
def test_what_is_said_by_fewer_rules_opens_the_same_ports_and_no_others(found: list[Opening]) -> None:
    fewer = neighbours(found)

    assert open_ports(fewer) == open_ports(found)
    assert len(fewer) <= len(found)
    assert len({each.key for each in fewer}) == len(fewer)


def test_each_range_is_a_rule_of_its_own_to_aws() -> None:
    site = site_plan("small")
    found = {("from-networks", "ingress"): (opening(1, networks=FAR), opening(2, networks=NEAR))}

    assert counted(site, (Role.MASTER,), found) == {("master", "ingress"): 3}


@pytest.mark.parametrize("case", CASES)
def test_a_group_with_room_keeps_one_rule_for_each_line_of_the_traffic_table(case: str) -> None:
    site = site_plan(case)

    made = [each for openings in rules(site, site.roles).values() for each in openings]

    assert not [each.name for each in made if "+" in each.name]


def test_groups_that_stay_too_full_are_refused_without_any_engine() -> None:
    site = site_plan("demo")
    assert site.aws is not None
    tight = dataclasses.replace(site, aws=site.aws.model_copy(update={"rules_per_group": 10}))

    with pytest.raises(SpecError, match=r"sites\.eu\.aws\.rules_per_group: got 10, expected at least \d+"):
        rules(tight, tight.roles)
