"""Three masters become five, after all else that is done to the cluster: it does not shrink again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from constructs_lib.components.model import Role
from constructs_lib.lab.keeper import KeptLab
from constructs_lib.lab.overrides import OVERRIDES_FILE, read_overrides
from constructs_lib.plan.growth import Growth, as_locked, with_quorum
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.workspace import Workspace
from tests.lab.admin import Operator
from tests.lab.asking import MASTERS, quorum, read_znode, says, write_znode
from tests.lab.drill import Drill
from tests.lab.healthy import BOOT_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab, pytest.mark.last]
GROWTH = Growth(site="eu", old=3, new=5)
MESOS = "systemctl show -P MainPID mesos-master.service"
FIVE = (*MASTERS, *GROWTH.masters)


@pytest.fixture
def five(workspace: Workspace) -> Iterator[ClusterSpec]:
    """The shared cluster's definition once its cluster.yaml asks for five masters."""
    three = workspace.cluster_file.read_text()
    workspace.cluster_file.write_text(three.replace("masters: {count: 3", "masters: {count: 5"))
    yield load(workspace.cluster_file)
    workspace.cluster_file.write_text(three)


def of_step_1(spec: ClusterSpec) -> SitePlan:
    """The plan that `nodes apply` has while the lock still says three."""
    before = plan(read_overrides(OVERRIDES_FILE).apply(as_locked(spec, [GROWTH])))
    return with_quorum(before, [GROWTH]).site("eu")


def quorums(lab: KeptLab) -> dict[str, str]:
    """The quorum that each running Mesos master was started with."""
    ask = f"tr '\\0' '\\n' </proc/$({MESOS})/environ | sed -n s/^MESOS_QUORUM=//p"
    masters = [name for name in lab.names() if name.startswith("master")]
    return {name: says(lab, name, "sh", "-c", ask) for name in masters}


def test_three_masters_become_five(
    lab: KeptLab, workspace: Workspace, drill: Drill, five: ClusterSpec
) -> None:
    drill.breaks(
        "cluster.yaml asks for five masters where three run",
        "nodes apply, deploy, nodes apply: the quorum and what ZooKeeper holds outlast every step",
    )
    assert five.sites["eu"].masters.count == GROWTH.new
    write_znode(lab, "master-1", "/from-three", "kept")
    operator = Operator(lab, workspace, as_locked(five, [GROWTH]))

    assert set(operator.apply(operator.targets_of(of_step_1(five)))) == set(MASTERS)

    quorum(lab)
    assert quorums(lab) == dict.fromkeys(MASTERS, "3")
    drill.saw("the three have the quorum of five")

    assert lab.grow() == list(GROWTH.masters)
    lab.start(*GROWTH.masters)
    lab.wait(BOOT_SECONDS)
    quorum(lab, FIVE)
    drill.saw("two more are healthy and follow")

    operator = Operator(lab, workspace, five)
    targets = operator.targets(five)
    assert set(operator.apply([target for target in targets if target.role is Role.MASTER])) == set(MASTERS)

    lab.wait(BOOT_SECONDS)
    quorum(lab, FIVE)
    assert quorums(lab) == dict.fromkeys(FIVE, "3")
    assert read_znode(lab, "master-5", "/from-three") == "kept"
    assert not any(state.changes for state in operator.states(targets) if state.target.role is Role.MASTER)
    drill.saw("all five know each other; master-5 has what was written to the three")
