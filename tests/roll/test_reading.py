"""What a roll makes of recorded plans (see plans/README.md)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.aws.rolling import KINDS
from constructs_lib.errors import RollError
from constructs_lib.roll.reading import ReadPlan, Replacement, half_done, judge

PLANS = Path(__file__).with_name("plans")
MASTERS = ("master-1", "master-2", "master-3")
ADDRESS = "10.20.16.12"


def shown(name: str) -> dict[str, Any]:
    plan: dict[str, Any] = json.loads((PLANS / f"{name}.json").read_text())
    return plan


def judged(name: str, node: str = "master-2", address: str = ADDRESS) -> Replacement:
    return judge(ReadPlan.of(shown(name)), node, address, KINDS)


def refusal(name: str) -> str:
    with pytest.raises(RollError) as caught:
        judged(name)
    assert "Nothing was changed" in str(caught.value)
    return str(caught.value)


def test_a_replacement_takes_the_attachment_of_its_data_volume_along_and_nothing_else() -> None:
    found = judged("behind")
    assert found.machine.address == 'aws_instance.demo_masters["master-2"]'
    assert [part.address for part in found.parts] == [
        'aws_volume_attachment.demo_masters_attachment["master-2"]'
    ]


def test_a_node_that_is_behind_says_in_what() -> None:
    assert "instance_type: m7i.xlarge → m7i.2xlarge" in judged("behind").differences


def test_a_node_that_is_up_to_date_has_no_difference() -> None:
    assert judged("up-to-date").differences == ()


def test_a_block_that_the_platform_filled_in_is_no_difference() -> None:
    """A T3's credits stand in its state and nowhere in its configuration."""
    differences = judged("gateway", "gateway-1", "10.20.0.11").differences
    assert [line.split(":")[0] for line in differences] == ["ami", "user_data_base64 changed"]


def test_the_text_of_the_first_boot_is_never_printed() -> None:
    plan = shown("behind")
    for change in plan["resource_changes"]:
        if change["type"] == "aws_instance":
            change["change"]["after"]["user_data_base64"] = "x" * 500
    found = judge(ReadPlan.of(plan), "master-2", ADDRESS, KINDS)
    assert "user_data_base64 changed" in found.differences
    assert not any("xxx" in line for line in found.differences)


def test_what_is_sensitive_is_never_printed() -> None:
    plan = shown("behind")
    for change in plan["resource_changes"]:
        if change["type"] == "aws_instance":
            change["change"]["after_sensitive"]["instance_type"] = True
    found = judge(ReadPlan.of(plan), "master-2", ADDRESS, KINDS)
    assert "instance_type (sensitive)" in found.differences
    assert not any("m7i" in line for line in found.differences)


def test_a_gateway_takes_the_association_of_its_elastic_address_along() -> None:
    found = judged("gateway", "gateway-1", "10.20.0.11")
    assert [part.address for part in found.parts] == [
        'aws_eip_association.demo_gateway_association["gateway-1"]'
    ]


def test_a_second_machine_is_refused_with_its_name_and_what_to_do() -> None:
    text = refusal("two-machines")
    assert 'aws_instance.demo_masters["master-1"]: replaced' in text
    assert 'aws_volume_attachment.demo_masters_attachment["master-1"]: replaced' in text
    assert '["master-2"]' not in text
    assert "cdktf deploy" in text


def test_anything_that_waits_for_a_deploy_is_refused() -> None:
    assert "aws_launch_template.demo_agents-general_template: changed in place" in refusal("deploy-first")


@pytest.mark.parametrize("name", ["data-volume-too", "larger-data-volumes"])
def test_the_data_volume_is_never_touched(name: str) -> None:
    assert "master-2: its data volume is in the plan" in refusal(name)


def test_a_node_that_would_move_is_refused() -> None:
    assert f"private_ip is {ADDRESS} and would be 10.20.16.99, planned is {ADDRESS}" in refusal("moved")


def test_a_node_that_is_planned_elsewhere_is_refused() -> None:
    with pytest.raises(RollError, match=r"planned is 10\.20\.16\.13"):
        judged("behind", address="10.20.16.13")


def test_an_address_known_only_afterwards_is_refused() -> None:
    plan = shown("behind")
    for change in plan["resource_changes"]:
        if change["address"].endswith('masters["master-2"]'):
            del change["change"]["after"]["private_ip"]
    with pytest.raises(RollError, match="would be known later"):
        judge(ReadPlan.of(plan), "master-2", ADDRESS, KINDS)


@pytest.mark.parametrize("actions", [["create", "delete"], ["update"], ["no-op"], ["delete"]])
def test_only_a_replacement_with_the_old_one_first_is_one(actions: list[str]) -> None:
    plan = shown("up-to-date")
    for change in plan["resource_changes"]:
        if change["address"].endswith('masters["master-2"]'):
            change["change"]["actions"] = actions
    with pytest.raises(RollError, match="expected it to be replaced and the old one to go first"):
        judge(ReadPlan.of(plan), "master-2", ADDRESS, KINDS)


def change_of(plan: dict[str, Any], address: str) -> dict[str, Any]:
    (found,) = (change for change in plan["resource_changes"] if change["address"] == address)
    entry: dict[str, Any] = found
    return entry


def with_another(plan: dict[str, Any], *, index: str, before: dict[str, Any], refers: bool) -> dict[str, Any]:
    """The plan with one more changed resource."""
    entry = copy.deepcopy(change_of(plan, 'aws_volume_attachment.demo_masters_attachment["master-2"]'))
    entry |= {"address": f'aws_thing.it["{index}"]', "type": "aws_thing", "name": "it", "index": index}
    entry["change"] |= {"before": before, "actions": ["update"]}
    plan["resource_changes"].append(entry)
    target = {"references": ["aws_instance.demo_masters"]} if refers else {}
    resources = plan["configuration"]["root_module"]["resources"]
    resources.append({"address": "aws_thing.it", "expressions": {"target": target}})
    return plan


def machine_id(plan: dict[str, Any], node: str) -> str:
    before = change_of(plan, f'aws_instance.demo_masters["{node}"]')["change"]["before"]
    return str(before["id"])


@pytest.mark.parametrize("index", ["master-2", "master-2-http", "anything"])
def test_what_holds_this_machines_id_alone_goes_along(index: str) -> None:
    plan = shown("up-to-date")
    plan = with_another(plan, index=index, before={"target": [machine_id(plan, "master-2")]}, refers=True)
    found = judge(ReadPlan.of(plan), "master-2", ADDRESS, KINDS)
    assert f'aws_thing.it["{index}"]' in [part.address for part in found.parts]


def test_what_holds_another_machines_id_too_is_refused() -> None:
    plan = shown("up-to-date")
    both = [machine_id(plan, name) for name in ("master-1", "master-2")]
    plan = with_another(plan, index="master-2", before={"targets": both}, refers=True)
    with pytest.raises(RollError, match="aws_thing"):
        judge(ReadPlan.of(plan), "master-2", ADDRESS, KINDS)


def test_what_only_has_the_nodes_name_but_does_not_refer_to_it_is_refused() -> None:
    plan = with_another(shown("up-to-date"), index="master-2", before={}, refers=False)
    with pytest.raises(RollError, match="aws_thing"):
        judge(ReadPlan.of(plan), "master-2", ADDRESS, KINDS)


@pytest.mark.parametrize("index", ["master-20", "master-3"])
def test_what_has_another_nodes_name_is_refused(index: str) -> None:
    plan = with_another(shown("up-to-date"), index=index, before={}, refers=True)
    with pytest.raises(RollError, match="aws_thing"):
        judge(ReadPlan.of(plan), "master-2", ADDRESS, KINDS)


def test_drift_elsewhere_is_named_and_may_be_passed_over_but_only_where_said() -> None:
    plan = shown("up-to-date")
    other = change_of(plan, 'aws_instance.demo_masters["master-1"]')
    other["change"] |= {"actions": ["update"]}
    plan["resource_drift"] = [{"address": other["address"]}]
    read = ReadPlan.of(plan)
    assert read.repairs(KINDS) == {other["address"]}
    judge(read, "master-2", ADDRESS, KINDS, ignoring=read.repairs(KINDS))
    with pytest.raises(RollError, match="master-1"):
        judge(read, "master-2", ADDRESS, KINDS)


def test_a_replacement_elsewhere_is_no_drift_even_where_something_drifted() -> None:
    plan = shown("two-machines")
    plan["resource_drift"] = [{"address": 'aws_instance.demo_masters["master-1"]'}]
    assert ReadPlan.of(plan).repairs(KINDS) == frozenset()


def test_nothing_is_half_done_when_a_plain_plan_is_empty() -> None:
    assert half_done(ReadPlan.of(shown("nothing-replaced")), MASTERS, KINDS) is None


@pytest.mark.parametrize("name", ["machine-gone", "attachment-missing"])
def test_the_node_that_an_interrupted_roll_left_is_found(name: str) -> None:
    assert half_done(ReadPlan.of(shown(name)), MASTERS, KINDS) == "master-2"


def test_a_machine_that_is_gone_is_made_where_it_was_planned() -> None:
    assert judged("machine-gone").differences == ("there is no machine yet",)


def test_two_incomplete_nodes_are_for_a_deploy() -> None:
    with pytest.raises(RollError, match=r'masters\["master-2"\]: created(?s:.*)masters\["master-3"\]'):
        half_done(ReadPlan.of(shown("two-incomplete")), MASTERS, KINDS)


def test_a_node_that_terraform_does_not_know_says_to_deploy() -> None:
    with pytest.raises(RollError, match="holds 0 machines of that name"):
        judged("behind", "master-9")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format_version": "2.0"}, "format is '2.0', expected 1.x"),
        ({"format_version": None}, "expected 1.x"),
        ({"errored": True}, "incomplete"),
        ({"deferred_changes": [{}]}, "incomplete"),
    ],
)
def test_a_plan_that_is_not_understood_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(RollError, match=said):
        ReadPlan.of(shown("behind") | change)
