"""What one deployment of several apps does first: the order of dependencies, in arrays and in groups."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.simulator.cluster import Profile
from tests.simulator.cluster.conftest import Marathon


def app(id: str, *dependencies: str, **fields: Any) -> dict[str, Any]:
    return {"id": id, "cmd": "a", "cpus": 0.1, "mem": 32, "dependencies": list(dependencies), **fields}


def steps(marathon: Marathon) -> list[list[str]]:
    """Of the one deployment: the apps of each step, after that which starts all with no instance."""
    [made] = marathon.get("/deployments")
    return [[action["app"] for action in step["actions"]] for step in made["steps"]]


def put(marathon: Marathon, path: str, body: object) -> Any:
    status, answer = marathon.ask("PUT", path, body)
    assert status == 200, answer
    return answer


def test_what_others_depend_on_is_started_first_and_waited_for(marathon: Marathon) -> None:
    marathon.sim.profile("/shop/db", Profile(start_seconds=60))

    put(marathon, "/apps", [app("/shop/web", "/shop/api"), app("/shop/api", "../db"), app("/shop/db")])

    assert steps(marathon)[1:] == [["/shop/db"], ["/shop/api"], ["/shop/web"]]
    marathon.sim.advance(30)
    assert [task.owner for task in marathon.sim.tasks()] == ["/shop/db"]
    marathon.sim.advance(60)
    assert {task.owner for task in marathon.sim.tasks()} == {"/shop/db", "/shop/api", "/shop/web"}
    assert marathon.get("/deployments") == []


def test_apps_that_wait_for_nothing_of_each_other_change_in_one_step(marathon: Marathon) -> None:
    put(marathon, "/apps", [app("/a"), app("/b"), app("/c", "/a", "/gone")])
    assert steps(marathon)[1:] == [["/a", "/b"], ["/c"]], "what there is not is left out"
    marathon.sim.advance(30)

    put(marathon, "/apps", [app("/c", "/a", cpus=0.2), app("/a", instances=2)])

    assert steps(marathon) == [["/a"], ["/c"]]


def test_a_group_is_its_apps_and_what_it_depends_on_each_of_them_does(marathon: Marathon) -> None:
    group = {
        "apps": [app("lonely")],
        "groups": [
            {"id": "front", "dependencies": ["../back"], "apps": [app("web"), app("help")]},
            {"id": "back", "apps": [app("db"), app("api", "../db")]},
        ],
    }

    put(marathon, "/groups/shop", group)

    ordered = steps(marathon)[1:]
    assert [sorted(step) for step in ordered] == [
        ["/shop/back/db", "/shop/lonely"],
        ["/shop/back/api"],
        ["/shop/front/help", "/shop/front/web"],
    ]
    marathon.sim.advance(60)
    assert marathon.get("/groups/shop")["apps"][0]["id"] == "/shop/lonely"


def test_what_a_group_no_longer_names_goes_and_what_it_does_not_speak_of_stays(marathon: Marathon) -> None:
    put(
        marathon,
        "/groups/shop",
        {"apps": [app("a"), app("b")], "groups": [{"id": "sub", "apps": [app("c")]}]},
    )
    marathon.sim.advance(60)

    put(marathon, "/groups/shop", {"apps": [app("b")]})
    marathon.sim.advance(60)

    assert {task.owner for task in marathon.sim.tasks()} == {"/shop/b", "/shop/sub/c"}
    assert marathon.ask("DELETE", "/groups/shop")[0] == 200
    marathon.sim.advance(60)
    assert marathon.get("/apps")["apps"] == []
    assert marathon.ask("DELETE", "/groups/shop") == (404, {"message": "Group '/shop' does not exist"})


@pytest.mark.parametrize(
    "apps",
    [[app("/a", "/a")], [app("/a", "/b"), app("/b", "/a")], [app("/x/a", "/y"), app("/y/b", "/x/a")]],
)
def test_a_cycle_is_refused_and_nothing_is_changed(marathon: Marathon, apps: list[dict[str, Any]]) -> None:
    status, refused = marathon.ask("PUT", "/apps", apps)

    assert status == 422
    assert refused["details"] == [{"path": "/", "errors": ["Dependency graph has cyclic dependencies."]}]
    assert marathon.get("/apps")["apps"] == [] == marathon.get("/deployments")


@pytest.mark.parametrize("body", [[], {"apps": 1}, {"apps": [1]}, {"groups": ["a"]}, {"dependencies": 5}])
def test_a_group_of_another_shape_is_400(marathon: Marathon, body: object) -> None:
    assert marathon.ask("PUT", "/groups/shop", body)[0] == 400


def test_a_bad_app_of_a_group_is_refused_and_nothing_is_changed(marathon: Marathon) -> None:
    status, _refused = marathon.ask("PUT", "/groups/shop", {"apps": [app("good"), {"id": "bad"}]})

    assert status == 422 and marathon.get("/apps")["apps"] == []
