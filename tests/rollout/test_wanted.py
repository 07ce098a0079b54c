"""What a node is to have, and the step before more masters as the nodes see it."""

from __future__ import annotations

import pytest

from constructs_lib.components.model import Role
from constructs_lib.errors import RollError
from constructs_lib.nodes.generation import SecretSource
from constructs_lib.plan.growth import as_locked, growths, with_quorum
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.rollout.wanted import Generation, wanted
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import SOURCE, WHOLE, site


def late(planned: SitePlan) -> dict[str, str]:
    return {value.name: f"value-of-{value.name}" for value in planned.late_values}


def of_masters(planned: SitePlan) -> list[Generation]:
    return [wanted(planned, node, SOURCE, late(planned)) for node in planned.nodes_of(Role.MASTER)]


def test_late_values_are_those_of_the_deploy_in_files_and_manifest() -> None:
    for number, generation in enumerate(of_masters(site("whole")), 1):
        assert generation.manifest_data["volume"]["id"] == f"value-of-data_volume_id:master-{number}"
        assert "@@late:" not in generation.manifest + "".join(generation.files.values())


def test_a_late_value_that_the_deploy_does_not_tell_is_an_error_with_what_to_do() -> None:
    planned = site("whole")
    with pytest.raises(
        RollError, match="master-1: the deployed site does not tell data_volume_id:master-1: cdktf"
    ):
        wanted(planned, planned.nodes_of(Role.MASTER)[0], SOURCE, {})


def test_every_file_of_the_manifest_is_there_and_no_other() -> None:
    for generation in of_masters(site("whole")):
        assert {entry["path"] for entry in generation.manifest_data["files"]} == set(generation.files)


def test_another_way_to_get_secrets_is_another_generation() -> None:
    planned = site("whole")
    node = planned.nodes_of(Role.MASTER)[0]
    one, other = (wanted(planned, node, SecretSource(command=c), late(planned)) for c in ("a", "b"))
    assert one.digest != other.digest


def test_before_five_masters_three_have_the_quorum_of_five_and_nothing_else_of_it() -> None:
    """Mesos needs it before the new ones start; ZooKeeper must not hear of them before that."""
    eu = WHOLE["sites"]["eu"]  # type: ignore[index]
    five = ClusterSpec.model_validate(WHOLE | {"sites": {"eu": eu | {"masters": {"count": 5}}}})
    lock = plan(ClusterSpec.model_validate(WHOLE)).lock
    growing = growths(five, lock)
    step = with_quorum(plan(as_locked(five, growing), lock), growing).site("eu")

    for before, after in zip(of_masters(site("whole")), of_masters(step), strict=True):
        changed = {path for path, text in after.files.items() if text != before.files[path]}
        assert changed == {"/etc/default/mesos-master"}
        assert "MESOS_QUORUM=3\n" in after.files["/etc/default/mesos-master"]
        assert before.manifest == after.manifest
