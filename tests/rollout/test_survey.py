"""What a survey finds that no apply could bring about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from constructs_lib.cli.nodes import require_secrets_in_reach
from constructs_lib.components.model import Role
from constructs_lib.errors import RollError
from constructs_lib.openstack.secrets import secret_source
from constructs_lib.plan.plan import plan
from constructs_lib.roll.gate import Machine
from constructs_lib.rollout.changes import changes
from constructs_lib.rollout.survey import NodeState
from constructs_lib.rollout.targets import Target
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import HYBRID
from tests.rollout.nodes import CONF, generation
from tests.rollout.test_changes import seen

KEYS = [
    {"name": f"wireguard_public_key_{site}", "path": f"/etc/wireguard/keys/{site}.pub"}
    for site in ("eu", "us")
]


def state(*, comes_with_machine: bool, there: int) -> NodeState:
    """A gateway that is to have the keys of two sites, and has those of the first `there`."""
    before, after = (generation({CONF: "one\n"}, secrets=keys) for keys in (KEYS[:there], KEYS))
    wanted = replace(after, comes_with_machine=comes_with_machine)
    machine = Machine(name="gateway-1", address="", role="gateway", cluster="demo", login="gateway-1.dc1")
    target = Target(site="dc1", name="gateway-1", role=Role.GATEWAY, machine=machine, generation=wanted)
    found = seen(before)
    return NodeState(target=target, seen=found, changes=changes(wanted, found))


def test_a_key_that_comes_with_a_machine_alone_and_is_nowhere_here_asks_for_a_roll() -> None:
    with pytest.raises(RollError) as refused:
        require_secrets_in_reach([state(comes_with_machine=True, there=1)], {})

    assert str(refused.value) == (
        "gateway-1.dc1: lacks wireguard_public_key_us, which come with a new machine alone and are not here "
        "to be brought; run: clustermesos roll gateway --site dc1 first\nnothing was changed"
    )


def test_a_key_that_is_here_is_brought_without_a_roll() -> None:
    lacking = state(comes_with_machine=True, there=1)

    require_secrets_in_reach([lacking], {"wireguard_public_key_us": "here"})

    assert lacking.out_of_reach == ("wireguard_public_key_us",)


def test_what_the_machine_has_or_can_fetch_needs_no_roll() -> None:
    require_secrets_in_reach(
        [state(comes_with_machine=True, there=2), state(comes_with_machine=False, there=1)], {}
    )


def test_on_openstack_secrets_come_with_the_machine() -> None:
    assert secret_source(plan(ClusterSpec.model_validate(HYBRID)).site("dc1")).comes_with_machine
