"""Three masters become five, in a lab of their own: a cluster does not shrink again."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from constructs_lib.lab.image import image
from constructs_lib.lab.keeper import KeptLab, connect, end, launch
from constructs_lib.lab.overrides import OVERRIDES_FILE, read_overrides
from constructs_lib.plan.growth import Growth, as_locked, with_quorum
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.workspace import Workspace
from tests.lab.admin import Operator
from tests.lab.asking import MASTERS, quorum, read_znode, says, write_znode
from tests.lab.conftest import CLUSTER, JOURNALS
from tests.lab.drill import Drill
from tests.lab.healthy import BOOT_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
GROWTH = Growth(site="eu", old=3, new=5)
MESOS = "systemctl show -P MainPID mesos-master.service"
FIVE = (*MASTERS, *GROWTH.masters)


@pytest.fixture
def small(lab_machine: None) -> Iterator[Workspace]:
    folder = Path(tempfile.mkdtemp(prefix="clustermesos-"))
    (folder / "cluster.yaml").write_text(CLUSTER.read_text().replace("name: drill", "name: growing"))
    yield Workspace(folder / "cluster.yaml")
    shutil.rmtree(folder)


@pytest.fixture
def three(small: Workspace) -> Iterator[KeptLab]:
    """Three masters, Consul and the gateway."""
    process = launch(small, image(), tied=True, agents={})
    lab = connect(small)
    with JOURNALS.while_booting(lab, "three_masters"):
        lab.start()
        lab.wait(BOOT_SECONDS)
    yield lab
    end(small, process)


def of_step_1(spec: ClusterSpec) -> SitePlan:
    """The plan that `nodes apply` has while the lock still says three."""
    before = plan(read_overrides(OVERRIDES_FILE).apply(as_locked(spec, [GROWTH])))
    return with_quorum(before, [GROWTH]).site("eu")


def quorums(lab: KeptLab) -> dict[str, str]:
    """The quorum that each running Mesos master was started with."""
    ask = f"tr '\\0' '\\n' </proc/$({MESOS})/environ | sed -n s/^MESOS_QUORUM=//p"
    masters = [name for name in lab.names() if name.startswith("master")]
    return {name: says(lab, name, "sh", "-c", ask) for name in masters}


def test_three_masters_become_five(three: KeptLab, small: Workspace, record: Drill) -> None:
    record.breaks(
        "cluster.yaml asks for five masters where three run",
        "nodes apply, deploy, nodes apply: the quorum and what ZooKeeper holds outlast every step",
    )
    write_znode(three, "master-1", "/from-three", "kept")
    operator = Operator(three, small, load(small.cluster_file))
    small.cluster_file.write_text(
        small.cluster_file.read_text().replace("masters: {count: 3", "masters: {count: 5")
    )
    spec = load(small.cluster_file)
    assert spec.sites["eu"].masters.count == GROWTH.new

    assert set(operator.apply(operator.targets_of(of_step_1(spec)))) == set(MASTERS)

    quorum(three)
    assert quorums(three) == dict.fromkeys(MASTERS, "3")
    record.saw("the three have the quorum of five")

    assert three.grow() == list(GROWTH.masters)
    three.start(*GROWTH.masters)
    three.wait(BOOT_SECONDS)
    quorum(three, FIVE)
    record.saw("two more are healthy and follow")

    operator = Operator(three, small, spec)
    targets = operator.targets(spec)
    assert set(operator.apply([target for target in targets if target.role is Role.MASTER])) == set(MASTERS)

    three.wait(BOOT_SECONDS)
    quorum(three, FIVE)
    assert quorums(three) == dict.fromkeys(FIVE, "3")
    assert read_znode(three, "master-5", "/from-three") == "kept"
    assert not any(state.changes for state in operator.states(targets) if state.target.role is Role.MASTER)
    record.saw("all five know each other; master-5 has what was written to the three")
