"""What a roll makes of libvirt's plans, one of them recorded (see plans/README.md)."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.errors import RollError
from constructs_lib.libvirt.rolling import KINDS
from constructs_lib.roll.reading import ReadPlan, Replacement, half_done, judge

PLAN = Path(__file__).with_name("plans") / "roll.json"
MACHINE = 'terraform_data.small_masters_machine["master-1"]'
ADDRESS = "10.30.1.11"


def shown() -> dict[str, Any]:
    plan: dict[str, Any] = json.loads(PLAN.read_text(encoding="utf-8"))
    return plan


def judged(plan: dict[str, Any]) -> Replacement:
    return judge(ReadPlan.of(plan), "master-1", ADDRESS, KINDS)


def another(plan: dict[str, Any], name: str, index: object, given: Any, *actions: str) -> dict[str, Any]:
    """The plan with one more terraform_data, made from `given`."""
    entry = copy.deepcopy(next(one for one in plan["resource_changes"] if one["address"] == MACHINE))
    entry |= {"address": f"terraform_data.{name}", "name": name, "index": index}
    entry["change"] |= {"actions": list(actions), "before": {"id": name, "input": given}}
    entry["change"]["after"] = {"input": given}
    plan["resource_changes"].append(entry)
    return plan


def test_domain_root_seed_and_secrets_go_together_and_the_data_volume_stays() -> None:
    found = judged(shown())

    assert found.machine.address == MACHINE
    assert {part.address for part in found.parts} == {
        f'{part}["master-1"]'
        for part in (
            "libvirt_cloudinit_disk.small_masters_drive",
            "libvirt_volume.small_masters_root-a",
            "libvirt_volume.small_masters_seed-a",
            "libvirt_volume.small_masters_secrets-a",
            "libvirt_domain.small_masters_domain-a",
        )
    }
    kept = [c for c in ReadPlan.of(shown()).changes if "_data-a" in c.address and c.index == "master-1"]
    assert [change.quiet for change in kept] == [True]


def test_a_machine_says_in_what_it_is_behind() -> None:
    assert judged(shown()).differences == ("input.memory_gib: 1 → 2", "input.user_data changed")


@pytest.mark.parametrize("given", ["9b2f", {"cluster": "small"}, None], ids=["image", "hooks", "nothing"])
def test_another_terraform_data_is_no_machine_whatever_its_key(given: Any) -> None:
    assert judged(another(shown(), "other", "master-1", given, "no-op")).machine.address == MACHINE


def test_hooks_that_would_run_are_deployed_first() -> None:
    with pytest.raises(RollError, match=r"terraform_data\.hooks: replaced"):
        judged(another(shown(), "hooks", None, {"cluster": "small"}, "delete", "create"))


def test_a_data_volume_in_the_plan_is_refused() -> None:
    plan = shown()
    for entry in plan["resource_changes"]:
        if "_data-a" in entry["address"] and entry["index"] == "master-1":
            entry["change"]["actions"] = ["delete", "create"]
    with pytest.raises(RollError, match=r'small_masters_data-a\["master-1"\]: replaced'):
        judged(plan)


def test_drives_that_are_gone_from_tmpdir_are_no_half_done_roll_and_nothing_else_is_passed_over() -> None:
    plan = shown()
    for entry in plan["resource_changes"]:
        fleeting = entry["type"] == "libvirt_cloudinit_disk"
        entry["change"]["actions"] = ["create"] if fleeting else ["no-op"]
    gone = [one["address"] for one in plan["resource_changes"] if one["change"]["actions"] == ["create"]]
    plan["resource_drift"] = [{"address": address} for address in gone]
    assert len(gone) == 4
    assert ReadPlan.of(plan).repairs(KINDS) == set(gone)
    assert half_done(ReadPlan.of(plan), ["master-1"], KINDS) is None

    for entry in plan["resource_changes"]:
        if entry["address"] == 'libvirt_domain.small_gateway_domain-a["gateway-1"]':
            entry["change"]["actions"] = ["create"]
            plan["resource_drift"].append({"address": entry["address"]})
    with pytest.raises(RollError, match="small_gateway_domain-a"):
        half_done(ReadPlan.of(plan), ["master-1"], KINDS)
