"""Each setting's effect on the app, and what a version is made of."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.contracts.compile import compile_contract
from constructs_lib.simulator.app_rules import problems
from tests.contracts.clusters import hybrid, one_site
from tests.contracts.examples import contract
from tests.contracts.test_golden import compiled

PLAN = one_site(app_secrets={"shop/db": {"pools": ["general"]}})


def body(dev: dict[str, Any] | None = None, **ops: Any) -> dict[str, Any]:
    return dict(compile_contract(contract(dev=dev, **ops), PLAN).app.body)


def version(dev: dict[str, Any] | None = None, **ops: Any) -> str:
    return compile_contract(contract(dev=dev, **ops), PLAN).app.version


def test_marathon_takes_every_example() -> None:
    for one in compiled().contracts:
        assert problems(one.app.body) == [], one.name


def test_an_app_is_named_after_its_contract_and_version_and_says_whose_it_is() -> None:
    app = compile_contract(contract(), PLAN).app
    assert app.id == f"/shop/{app.version}" == app.body["id"]
    assert len(app.version) == 8 and int(app.version, 16) >= 0
    assert app.body["labels"] == {
        "clustermesos/cluster": "demo",
        "clustermesos/contract": "shop",
        "clustermesos/logs": "text",
        "clustermesos/on-call": "shop@example.org",
        "clustermesos/owner": "shop@example.org",
        "clustermesos/version": app.version,
    }


@pytest.mark.parametrize(
    "ops",
    [
        {"instances": 7},
        {"instances": {"min": 2, "max": 9, "follow": "memory"}},
        {"alerts": {"page": False}, "route": {"host": "shop.example.org"}},
        {"route": {"host": "shop.example.org", "path": "/other"}},
        {"deploy": {"strategy": "blue-green", "drain_seconds": 5}},
    ],
    ids=["instances", "scaling", "alerts", "route", "strategy"],
)
def test_what_no_task_is_made_of_leaves_the_version_as_it_is(ops: dict[str, Any]) -> None:
    assert version(**ops) == version()


def test_a_backup_leaves_the_version_as_it_is() -> None:
    state = {"state": {"volumes": {"data": {"path": "/data"}}}}
    kept = {"deploy": {"strategy": "recreate"}, "pools": ["data"]}
    assert version(state, backup={"volume": "data"}, **kept) == version(state, **kept)


@pytest.mark.parametrize(
    ("dev", "ops"),
    [
        ({"image": "shop:1.4.3"}, {}),
        ({"env": {"A": "1"}}, {}),
        ({"secrets": {"DB": "shop/db"}}, {}),
        ({"ports": {"http": 8081}}, {}),
        ({"args": ["--fast"]}, {}),
        ({"command": "shop"}, {}),
        ({"runtime": {"kind": "jvm"}}, {}),
        ({"health": {"path": "/other"}}, {}),
        ({"stop_seconds": 5}, {}),
        ({}, {"cpus": 1}),
        ({}, {"memory_mib": 513}),
        ({}, {"disk_mib": 100}),
        ({}, {"pools": ["data"]}),
    ],
    ids=str,
)
def test_what_a_task_is_made_of_makes_another_version(dev: dict[str, Any], ops: dict[str, Any]) -> None:
    assert version(dev, **ops) != version()


@pytest.mark.parametrize(
    "ops", [{}, {"placement": "public"}, {"pools": ["general"]}, {"sites": ["eu"]}], ids=str
)
def test_there_always_is_a_constraint_on_the_region(ops: dict[str, Any]) -> None:
    assert ["@region", "IS", "eu"] in body(**ops)["constraints"]


def test_any_cloud_names_every_site() -> None:
    worker = contract(placement="any", policy="hybrid")
    assert ["@region", "LIKE", "cloud|home"] in compile_contract(worker, hybrid()).app.body["constraints"]


def test_pools_attributes_and_hosts_become_constraints() -> None:
    found = body(pools=["general"], attributes={"pool": "general"}, spread={"per_host": 2})["constraints"]
    assert ["pool", "IS", "general"] in found
    assert ["hostname", "MAX_PER", "2"] in found


def test_instances_are_spread_over_all_zones_but_one_unless_the_contract_says_more() -> None:
    assert ["@zone", "GROUP_BY", "2"] in body(instances=2, pools=["general"])["constraints"]
    assert ["@zone", "GROUP_BY", "3"] in body(instances=3, spread={"zones": 3})["constraints"]
    assert not [each for each in body(pools=["data"])["constraints"] if each[0] == "@zone"], "one agent"


def test_a_secret_is_a_file_that_only_its_path_is_told_of() -> None:
    app = body({"secrets": {"DB_PASSWORD": "shop/db"}})
    assert app["env"]["DB_PASSWORD_FILE"] == "/run/secrets/DB_PASSWORD"
    assert "DB_PASSWORD" not in app["env"]
    assert app["container"]["volumes"] == [
        {
            "hostPath": "/etc/clustermesos/app-secrets/shop/db",
            "containerPath": "/run/secrets/DB_PASSWORD",
            "mode": "RO",
        }
    ]
    assert ["pool", "IS", "general"] in app["constraints"]


def test_restart_check_and_route_check_are_two() -> None:
    app = body({"readiness": {"path": "/ready", "interval_seconds": 3, "timeout_seconds": 1}})
    assert app["healthChecks"] == [
        {
            "protocol": "MESOS_HTTP",
            "path": "/healthz",
            "portIndex": 0,
            "gracePeriodSeconds": 300,
            "intervalSeconds": 10,
            "timeoutSeconds": 5,
            "maxConsecutiveFailures": 6,
        }
    ]
    assert app["env"]["SERVICE_8080_CHECK_HTTP"] == "/ready"
    assert app["env"]["SERVICE_8080_CHECK_INTERVAL"] == "3s"
    assert app["env"]["SERVICE_8080_CHECK_TIMEOUT"] == "1s"


@pytest.mark.parametrize(("how", "protocol"), [({"path": "/healthz"}, "HTTP"), ({"tcp": True}, "TCP")])
def test_a_check_that_may_end_nothing_is_asked_by_marathon_which_takes_0_for_never(
    how: dict[str, Any], protocol: str
) -> None:
    app = body({"health": {**how, "restart": False}})
    (check,) = app["healthChecks"]
    assert (check["protocol"], check["maxConsecutiveFailures"]) == (protocol, 0)
    (lax,) = body({"health": how})["healthChecks"]
    assert (lax["protocol"], lax["maxConsecutiveFailures"]) == (f"MESOS_{protocol}", 6)
    assert problems(app) == []
    assert version({"health": how}) != version({"health": {**how, "restart": False}})


def test_a_route_check_that_is_not_said_asks_as_the_restart_check_does_but_strictly() -> None:
    assert body()["env"]["SERVICE_8080_CHECK_HTTP"] == "/healthz"
    assert body({"health": {"tcp": True}})["env"]["SERVICE_8080_CHECK_TCP"] == "true"
    assert not [name for name in body({"health": {"command": "true"}})["env"] if "CHECK" in name]


def test_registrator_is_told_the_services_names_and_the_version() -> None:
    app = compile_contract(contract(dev={"ports": {"http": 8080, "admin": 9000}}), PLAN).app
    env = app.body["env"]
    assert (env["SERVICE_8080_NAME"], env["SERVICE_9000_NAME"]) == ("shop", "shop-admin")
    assert env["SERVICE_8080_TAGS"] == env["SERVICE_9000_TAGS"] == f"version={app.version}"
    assert app.body["networks"] == [{"mode": "container/bridge"}]


def test_ports_are_published_on_one_of_the_agents_or_on_the_one_that_is_asked_for() -> None:
    app = body({"ports": {"http": 80, "dns": 53}, "host_ports": {"dns": 31053}, "udp_ports": ["dns"]})
    assert app["container"]["portMappings"] == [
        {"containerPort": 80, "hostPort": 0, "protocol": "tcp", "name": "http"},
        {"containerPort": 53, "hostPort": 31053, "protocol": "udp", "name": "dns"},
    ]
    assert app["upgradeStrategy"]["minimumHealthCapacity"] == 0.0


def test_arguments_go_to_the_entry_point_and_a_command_takes_its_place() -> None:
    assert body({"args": ["--fast"]})["args"] == ["--fast"] and "cmd" not in body({"args": ["--fast"]})
    assert body({"command": "shop --fast"})["cmd"] == "shop --fast"


def test_a_command_without_an_image_runs_on_the_agent_itself() -> None:
    given = {"image": None, "command": "sleep 1000", "ports": {"a": 31010}, "host_ports": {"a": 31010}}
    compiled_ = compile_contract(contract(dev=given | {"health": {"tcp": True}}), PLAN)
    app = compiled_.app.body
    assert "container" not in app and app["networks"] == [{"mode": "host"}] and app["requirePorts"]
    assert app["portDefinitions"] == [{"port": 31010, "protocol": "tcp", "name": "a"}]
    assert compiled_.service is None


@pytest.mark.parametrize(
    ("runtime", "variables"),
    [
        ({"kind": "jvm"}, {"JAVA_TOOL_OPTIONS": "-Xmx307m -XX:+ExitOnOutOfMemoryError"}),
        ({"kind": "jvm", "heap_percent": 75}, {"JAVA_TOOL_OPTIONS": "-Xmx384m -XX:+ExitOnOutOfMemoryError"}),
        ({"kind": "node"}, {"NODE_OPTIONS": "--max-old-space-size=384"}),
        ({"kind": "go"}, {"GOMEMLIMIT": "460MiB", "GOMAXPROCS": "1"}),
        ({"kind": "python"}, {"PYTHONUNBUFFERED": "1", "WEB_CONCURRENCY": "1"}),
    ],
    ids=str,
)
def test_a_runtime_is_told_of_its_limits(runtime: dict[str, Any], variables: dict[str, str]) -> None:
    assert variables.items() <= body({"runtime": runtime})["env"].items()


def test_volumes_are_folders_of_the_agent_or_of_the_share() -> None:
    volumes = {"data": {"path": "/data"}, "all": {"path": "/all", "kind": "shared", "read_only": True}}
    app = body({"state": {"volumes": volumes}}, deploy={"strategy": "recreate"}, instances=2)
    assert app["container"]["volumes"] == [
        {"hostPath": "/srv/shared/shop/all", "containerPath": "/all", "mode": "RO"},
        {"hostPath": "/var/lib/clustermesos/volumes/shop/data", "containerPath": "/data", "mode": "RW"},
    ]
    assert ["hostname", "UNIQUE"] in app["constraints"]


def test_logs_have_a_form_and_a_size() -> None:
    app = body({"logs": {"format": "json", "max_mib": 7}})
    assert app["labels"]["clustermesos/logs"] == "json"
    assert {"key": "log-opt", "value": "max-size=7m"} in app["container"]["docker"]["parameters"]


def test_what_keeps_data_waits_for_a_site_that_is_cut_off_and_the_rest_does_not() -> None:
    state = {"state": {"volumes": {"data": {"path": "/data"}}}}
    assert body(state, deploy={"strategy": "recreate"})["unreachableStrategy"] == "disabled"
    assert body()["unreachableStrategy"] == {"inactiveAfterSeconds": 300, "expungeAfterSeconds": 300}


def test_a_policy_says_what_happens_at_a_site_that_is_cut_off() -> None:
    waiting = one_site(policies={"slow": {"default": True, "cut_off": "wait"}})
    assert compile_contract(contract(), waiting).app.body["unreachableStrategy"] == "disabled"


def test_latest_is_pulled_again_where_it_is_allowed() -> None:
    assert body({"image": "shop:latest", "allow_latest": True})["container"]["docker"]["forcePullImage"]
