"""Masters replaced by `clustermesos roll` itself: two at once are refused, and the missing one comes back."""

from __future__ import annotations

import pytest

from constructs_lib.errors import RollError
from constructs_lib.lab.keeper import KeptLab
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from tests.lab.admin import Operator
from tests.lab.asking import LONG, MASTERS, quorum, read_znode, says, seen, write_znode
from tests.lab.drill import Drill
from tests.lab.healthy import BOOT_SECONDS
from tests.lab.rolling import LabTerraform, machines_of, roll_of_masters

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
OTHERS = ("master-2", "master-3")


@pytest.fixture
def operator(lab: KeptLab, workspace: Workspace) -> Operator:
    return Operator(lab, workspace, load(workspace.cluster_file))


def _refused(operator: Operator, terraform: LabTerraform, node: str) -> str:
    """How a roll of this node is refused; nothing was applied."""
    with pytest.raises(RollError) as refused:
        roll_of_masters(operator, terraform, node).run()
    assert not [line for line in terraform.log if line.startswith("apply")]
    return str(refused.value)


def _boots(lab: KeptLab) -> dict[str, str]:
    return {name: says(lab, name, "cat", "/etc/machine-id") for name in OTHERS}


def test_two_masters_rebuilt_at_once_refused(operator: Operator, drill: Drill) -> None:
    lab, terraform = operator.lab, LabTerraform(machines_of(operator), operator=operator)
    write_znode(lab, "master-2", "/rolled", "kept")
    before = _boots(lab)
    drill.breaks(
        "master-1's machine is destroyed, its data volume kept, and roll is asked for master-2, before and "
        "after Terraform knows of it; then for master-1",
        "roll refuses master-2 both times and touches nothing; asked for master-1 it rebuilds that one",
    )
    try:
        lab.destroy("master-1", keep_data=True)
        # Frameworks on the others may follow a new leader for a moment; then only one is away.
        seen(
            "only master-1 is away",
            LONG,
            lambda: {state.name for state in lab.states() if state.healthy},
            lambda names: names & set(MASTERS) == set(OTHERS),
        )
        said = _refused(operator, terraform, "master-2")
        assert (
            "master-2: refused, since master-1 is not healthy: without master-2, 1 of 3 would be left" in said
        )
        assert "master-2 was not touched" in said
        drill.saw(f"by its gates: {said.splitlines()[0].rstrip(':')}")
        terraform.machines["master-1"][0] = ""
        said = _refused(operator, terraform, "master-2")
        assert "master-1 is incomplete and has to come first: --only master-1" in said
        drill.saw(f"by Terraform's plan: {said.splitlines()[0].rstrip('.')}")
        assert roll_of_masters(operator, terraform, "master-1").run() == ("master-1",)
        assert [line for line in terraform.log if line.startswith("apply")] == ["apply master-1"]
        drill.saw("roll rebuilt master-1 and found all three healthy")
    finally:
        if any(state.name == "master-1" and not state.on for state in lab.states()):
            lab.rebuild("master-1")
    lab.wait(BOOT_SECONDS)
    quorum(lab)
    assert read_znode(lab, "master-1", "/rolled") == "kept"
    assert _boots(lab) == before
    drill.saw("the quorum is whole, and the other two are the machines that they were")
