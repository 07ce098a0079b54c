"""What a roll makes of libvirt's plans, one of them recorded (see plans/README.md)."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.errors import RollError
from constructs_lib.libvirt.rolling import KINDS
from constructs_lib.libvirt.secrets import PROGRAM
from constructs_lib.roll.reading import ReadPlan, Replacement, half_done, judge
from tests.libvirt.clusters import CASES, EVERY, Json, cluster_stack, of_kind, site_plan, stack_of

PLAN = Path(__file__).with_name("plans") / "roll.json"
MACHINE = 'terraform_data.small_masters_machine["master-1"]'
ADDRESS = "10.30.1.11"
UNGUESSABLE = {"gossip_key", "ssh_host_key", "wireguard_key", "token"}


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


def machines(stack: Json) -> dict[str, Json]:
    """The resources that stand for machines."""
    return {
        name: body for name, body in of_kind(stack, "terraform_data.").items() if name.endswith("_machine")
    }


def bridge(**settings: Any) -> dict[str, Any]:
    """A site's settings with another bridge than br0, or other words for it."""
    return {"libvirt": {"bridge": {"name": "br0", **settings}}}


@pytest.mark.parametrize(
    ("case", "site", "words"),
    [
        ("small", {"libvirt": {"nat": {"dns": ["203.0.113.53"]}}}, set[str]()),
        ("small", {"mtu": 1400}, {"mtu"}),
        ("private", bridge(name="br1"), {"source"}),
        ("private", bridge(gateway="10.20.0.2"), {"gateway", "resolvers"}),
        ("private", bridge(dns=["203.0.113.53"]), {"resolvers"}),
    ],
    ids=["nat-dns", "mtu", "bridge", "router", "resolver"],
)
def test_another_network_setting_that_a_machine_reads_once_is_what_a_roll_sees(
    case: str, site: dict[str, Any], words: set[str]
) -> None:
    """What the NAT network's own resolver asks concerns no machine."""
    before, after = (machines(cluster_stack(site_plan(case, **given))) for given in ({}, site))

    assert before.keys() == after.keys()
    for name, body in after.items():
        was, becomes = before[name]["input"]["network"], body["input"]["network"]
        assert {key for key in becomes if becomes[key] != was[key]} == words, name


@pytest.mark.parametrize("case", EVERY)
def test_every_secret_that_a_machine_gets_is_what_a_roll_sees_and_the_program_is_not(case: str) -> None:
    for name, body in machines(stack_of(case)).items():
        (write,) = body["provisioner"]
        sent, seen = write["local-exec"]["environment"]["SECRETS"], body["input"]["secrets"]
        assert set(re.findall(r"var\.\w+", seen)) == set(re.findall(r"var\.\w+", sent)) != set(), name
        assert PROGRAM in sent and PROGRAM not in seen
        assert seen.startswith("${nonsensitive(sensitive(sha256(jsonencode(")


@pytest.mark.parametrize("case", CASES)
def test_no_hash_in_the_state_is_of_passwords_alone_which_could_be_found_by_trying(case: str) -> None:
    site = site_plan(case)
    pools = [(Role.AGENT, pool.name) for pool in site.pools]
    for role, pool in [*((role, None) for role in site.roles if role is not Role.AGENT), *pools]:
        assert UNGUESSABLE & {secret.declared.kind for secret in site.secrets_of(role, pool)}, (role, pool)


def test_a_machine_that_was_made_before_these_were_told_is_behind_once() -> None:
    plan = shown()
    (machine,) = (one for one in plan["resource_changes"] if one["address"] == MACHINE)
    former = machine["change"]["before"]["input"]
    machine["change"]["after"]["input"] = {**former, "secrets": "9" * 64, "network": {"mtu": 1500}}

    found = judged(plan).differences

    assert set(found) == {"input.network changed", "input.secrets changed"}
