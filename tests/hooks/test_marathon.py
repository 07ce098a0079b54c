"""The client of Marathon's API, against the simulator's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.marathon import Marathon, tasks_of
from constructs_lib.simulator.cluster import Fault, SimulatedCluster
from tests.hooks.simulated import contract, marathon_of

SHOP = contract("shop")


@pytest.fixture
def sim() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(masters=3) as cluster:
        yield cluster


@pytest.fixture
def marathon(sim: SimulatedCluster) -> Iterator[Marathon]:
    with marathon_of(sim) as found:
        yield found


def up(sim: SimulatedCluster, marathon: Marathon, instances: int = 2) -> str:
    marathon.put(SHOP.app.id, {**SHOP.app.body, "instances": instances})
    sim.advance(120)
    assert marathon.deployments() == ()
    return SHOP.app.id


def test_an_app_comes_up_and_one_request_shows_all_of_it(sim: SimulatedCluster, marathon: Marathon) -> None:
    id = up(sim, marathon)
    before = marathon.client.requests
    (app,) = marathon.apps()

    assert marathon.client.requests == before + 1
    assert (app["id"], app["tasksRunning"], app["tasksHealthy"]) == (id, 2, 2)
    assert len(tasks_of(app)) == 2
    assert marathon.leader()
    assert marathon.info()["frameworkId"]


def test_what_is_not_there_is_none_and_deleting_it_is_no_error(marathon: Marathon) -> None:
    assert marathon.app("/nowhere/1") is None
    assert marathon.delete("/nowhere/1") is None


def test_put_replaces_what_the_app_had_besides(sim: SimulatedCluster, marathon: Marathon) -> None:
    marathon.put("/a/1", {**SHOP.app.body, "instances": 1, "env": {"A": "1"}})
    sim.advance(60)
    marathon.put("/a/1", {**SHOP.app.body, "instances": 1})

    app = marathon.app("/a/1")
    assert app is not None
    assert not app.get("env")


def test_a_locked_app_is_waited_for_and_changed_when_it_is_free(
    sim: SimulatedCluster, marathon: Marathon
) -> None:
    id = SHOP.app.id
    first = marathon.put(id, {**SHOP.app.body, "instances": 2})
    assert [one["affectedApps"] for one in marathon.deployments()] == [[id]]

    second = marathon.scale(id, 3)

    assert first != second
    sim.advance(120)
    assert marathon.deployments() == ()
    app = marathon.app(id)
    assert app is not None
    assert app["tasksRunning"] == 3


def test_a_lock_that_stays_is_told_with_the_deployment_that_holds_it(sim: SimulatedCluster) -> None:
    with marathon_of(sim) as marathon:
        made = marathon.put("/big/1", {**SHOP.app.body, "instances": 1, "cpus": 1000})
        with pytest.raises(ApiError) as caught:
            marathon.scale("/big/1", 2)

        assert caught.value.kind == "locked"
        assert caught.value.deployments == (made,)
        assert marathon.scale("/big/1", 0, force=True)


def test_killing_with_scale_leaves_fewer(sim: SimulatedCluster, marathon: Marathon) -> None:
    id = up(sim, marathon, 3)
    (app,) = marathon.apps()
    victim = str(tasks_of(app)[0]["id"])

    marathon.kill([victim])
    sim.advance(60)

    (app,) = marathon.apps()
    assert (app["instances"], app["tasksRunning"]) == (2, 2)
    assert victim not in {task["id"] for task in tasks_of(app)}
    assert marathon.kill([]) is None
    assert id == app["id"]


def test_a_kill_whose_answer_was_lost_is_not_sent_again(sim: SimulatedCluster, marathon: Marathon) -> None:
    up(sim, marathon, 3)
    (app,) = marathon.apps()
    sim.inject(Fault(kind="lost_answer", program="marathon", calls=1, path="/v2/tasks/delete*"))

    with pytest.raises(ApiError):
        marathon.kill([str(tasks_of(app)[0]["id"])])

    sim.advance(60)
    (app,) = marathon.apps()
    assert app["instances"] == 2


def test_a_leader_that_changes_in_the_middle_is_followed(sim: SimulatedCluster, marathon: Marathon) -> None:
    up(sim, marathon)
    sim.change_leader("marathon", seconds=5)

    assert len(marathon.apps()) == 1


def test_an_invalid_app_is_told_by_all_paths(marathon: Marathon) -> None:
    with pytest.raises(ApiError) as caught:
        marathon.put("/bad/1", {**SHOP.app.body, "cpus": -1, "constraints": [["x", "NEAR"]]})

    assert caught.value.kind == "invalid"
    assert len(caught.value.details) == 2


def test_what_waits_for_offers_is_in_the_queue_with_what_was_turned_down(
    sim: SimulatedCluster, marathon: Marathon
) -> None:
    marathon.put("/big/1", {**SHOP.app.body, "instances": 1, "cpus": 1000})
    sim.advance(30)
    (entry,) = marathon.queue()

    assert entry["app"]["id"] == "/big/1"
    assert entry["lastUnusedOffers"]
    marathon.reset_delay("/big/1")
    marathon.cancel(marathon.deployments()[0]["id"])


def test_a_group_shows_its_own_apps_alone(sim: SimulatedCluster, marathon: Marathon) -> None:
    id = up(sim, marathon)
    marathon.put("/shopping/1", {**SHOP.app.body, "instances": 1})

    (app,) = marathon.below("/shop")

    assert app["id"] == id and len(tasks_of(app)) == 2
    assert marathon.below("/nowhere") == ()


def test_a_stray_404_is_no_deletion(sim: SimulatedCluster, marathon: Marathon) -> None:
    id = up(sim, marathon)
    sim.inject(Fault(kind="status", status=404, program="marathon", method="DELETE", path="/v2/apps/*"))

    with pytest.raises(ApiError, match="404"):
        marathon.delete(id)
    assert marathon.delete(id, force=True)


def test_a_stray_404_does_not_make_a_group_empty(sim: SimulatedCluster, marathon: Marathon) -> None:
    id = up(sim, marathon)
    marathon.put("/shopping/1", {**SHOP.app.body, "instances": 1})
    stray = Fault(kind="status", status=404, program="marathon", method="GET", path="/v2/apps/*")
    sim.inject(stray)

    (app,) = marathon.below("/shop")

    assert app["id"] == id and len(tasks_of(app)) == 2
    sim.inject(replace(stray, path="/v2/apps*", calls=2))
    with pytest.raises(ApiError, match="404"):
        marathon.below("/shop")
