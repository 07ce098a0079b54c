"""What a plan tells of a manifest beside another one; files and secrets over SSH are in test_remote.py."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.components.docker import LIVE_KEYS
from constructs_lib.components.model import Role
from constructs_lib.roll.gate import Machine
from constructs_lib.rollout.changes import Change, changes, changes_back
from constructs_lib.rollout.remote import Seen
from constructs_lib.rollout.report import plan_json, plan_lines
from constructs_lib.rollout.survey import NodeState
from constructs_lib.rollout.targets import Target
from constructs_lib.rollout.wanted import Generation
from tests.rollout.nodes import CONF, UNIT, Behind, generation

ONE = generation({CONF: "one\n"})


def seen(there: Generation, **other: Any) -> Seen:
    """A node that has exactly that."""
    usual: dict[str, Any] = {
        "wanted": 1,
        "applied": 1,
        "former": None,
        "busy": False,
        "incoming": False,
        "pending": {},
        "rollout": None,
        "result": None,
        "manifest": there.manifest_data,
        "differs": {},
        "edited": (),
        "secrets": {},
    }
    return Seen(**(usual | other))


def told(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    old, new = (generation({CONF: "one\n"}, **manifest) for manifest in (before, after))
    return [(c.kind, c.action, c.name, c.detail) for c in changes(new, seen(old))]


def docker(version: str) -> dict[str, Any]:
    repository = {"uri": "https://download.docker.com"}
    return {
        "packages": [
            {"component": "docker", "names": ["docker-ce"], "version": version, "repository": repository}
        ]
    }


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ({}, {}, []),
        (
            docker("27.1"),
            docker("27.2"),
            [
                (
                    "package",
                    "change",
                    "docker-ce",
                    "27.1 of https://download.docker.com → 27.2 of https://download.docker.com",
                )
            ],
        ),
        ({}, {"packages": [{"names": ["jq"]}]}, [("package", "add", "jq", "the distribution's")]),
        (
            {"packages": [{"names": ["jq"]}]},
            {},
            [("package", "remove", "jq", "stays installed, is not held any more")],
        ),
        (
            {"packages": [{"names": ["docker.io"]}]},
            {"packages": [{"names": ["docker.io"], "hold": True}]},
            [("setting", "add", "hold of docker.io", "no upgrade changes it")],
        ),
        ({}, {"users": [{"name": "web", "uid": 99}]}, [("user", "add", "web", "")]),
        (
            {"directories": [{"path": "/srv/data/web", "mode": "750", "owner": "web"}]},
            {"directories": [{"path": "/srv/data/web", "mode": "700", "owner": "web"}]},
            [("directory", "change", "/srv/data/web", "mode 750 → 700")],
        ),
        (
            {},
            {"stages": [{"component": "web", "units": [UNIT, "more.service"], "seconds": 5, "checks": []}]},
            [("unit", "add", "more.service", "enabled and started")],
        ),
        (
            {"boot_units": []},
            {"boot_units": ["a.service"]},
            [("setting", "change", "units that run at each boot", "[] → ['a.service']")],
        ),
        (
            {"checks": []},
            {"checks": [UNIT]},
            [("setting", "change", "order or health checks of components", "")],
        ),
        (
            {"secrets": [{"name": "token", "path": "/etc/web/token"}]},
            {},
            [("secret", "remove", "token", "")],
        ),
        ({}, {"secrets": [{"name": "token", "path": "/etc/web/token"}]}, [("secret", "add", "token", "")]),
    ],
)
def test_every_part_of_a_manifest_is_told(
    before: dict[str, Any], after: dict[str, Any], said: list[tuple[str, str, str, str]]
) -> None:
    assert told(before, after) == said


def test_another_value_of_a_secret_names_every_unit_that_it_restarts() -> None:
    files = [{"name": "token", "path": f"/etc/{unit}", "restarts": f"{unit}.service"} for unit in ("a", "b")]
    manifest = ONE.manifest_data | {"secrets": files}
    wanted = Generation(manifest=json.dumps(manifest), files=ONE.files)

    found = changes(wanted, seen(ONE, manifest=manifest, secrets={"token": "other"}))

    assert [change.restarts for change in found if change.kind == "secret"] == ["a.service", "b.service"]


def test_a_file_that_is_no_longer_wanted_restarts_its_unit_and_a_unit_is_stopped() -> None:
    unit = "/etc/systemd/system/old.service"
    old = generation(
        {CONF: "one\n", "/etc/gone": "x\n", unit: "[Unit]\n"}, restarts={CONF: UNIT, "/etc/gone": UNIT}
    )
    gone, stopped = changes(ONE, seen(old, differs={"/etc/gone": "x\n", unit: "[Unit]\n"}))
    assert (gone.action, gone.name, gone.restarts) == ("remove", "/etc/gone", UNIT)
    assert "-x" in gone.diff
    assert (stopped.name, stopped.detail, stopped.restarts) == (unit, "stopped and disabled", None)


def test_a_unit_that_is_no_longer_started_is_told_with_what_ends_with_it() -> None:
    stages = [{"component": "x", "units": ["docker.service", "x@y.service"], "seconds": 5, "checks": []}]
    drop_in = "/etc/systemd/system/x@y.service.d/ours.conf"
    old = generation({CONF: "one\n", drop_in: "[Service]\n"}, stages=[*ONE.manifest_data["stages"], *stages])

    found = [c for c in changes(ONE, seen(old, differs={drop_in: ""})) if c.action == "remove"]

    assert [(c.name, c.detail, c.ends) for c in found] == [
        (drop_in, "", ""),
        ("docker.service", "stopped and disabled", ENDS),
        ("x@y.service", "stopped and disabled", ""),
    ]


DAEMON = "/etc/docker/daemon.json"
ENDS = "all containers on this node"


def daemon(text: str, **more: Any) -> Generation:
    """A node with Docker: its file has the keys that dockerd takes over when it reloads."""
    wanted = generation({DAEMON: text}, restarts={DAEMON: "docker.service"}, **more)
    manifest = wanted.manifest_data
    for entry in manifest["files"]:
        if entry["path"] == DAEMON:
            entry["live"] = list(LIVE_KEYS)
    return replace(wanted, manifest=json.dumps(manifest))


@pytest.mark.parametrize(
    ("after", "restarts", "reloads", "ends"),
    [
        ('{"mtu": 1400, "registry-mirrors": []}', "docker.service", None, ENDS),
        ('{"mtu": 1500, "registry-mirrors": ["https://m"]}', None, "docker.service", ""),
        ('{"mtu": 1500}', "docker.service", None, ENDS),
    ],
)
def test_a_file_that_restarts_docker_ends_containers_unless_a_reload_will_do(
    after: str, restarts: str | None, reloads: str | None, ends: str
) -> None:
    before = '{"mtu": 1500, "registry-mirrors": []}'

    (change,) = changes(daemon(after), seen(daemon(before), differs={DAEMON: before}))

    assert (change.restarts, change.reloads, change.ends) == (restarts, reloads, ends)


def test_packages_of_docker_and_a_restart_of_it_that_is_left_to_do_end_containers_too() -> None:
    package = {"component": "docker", "names": ["containerd.io", "jq"]}
    new = daemon("{}", packages=[package])
    pending = {"restarts": ["web.service", "docker.service"], "reloads": []}

    found = changes(new, seen(daemon("{}"), pending=pending))

    assert {(change.name, change.ends) for change in found} == {
        ("containerd.io", ENDS),
        ("jq", ""),
        ("restarts", ENDS),
    }


@pytest.mark.slow
def test_what_a_rollback_would_change_is_what_the_former_generation_has(node: Behind) -> None:
    older, newer = daemon('{"mtu": 1500}'), daemon('{"mtu": 1400}')
    for wanted in (older, newer):
        node.shell.apply(wanted, node.shell.look(wanted, {}), {"id": "x", "step": 1}, lambda line: None)

    (change,) = changes_back(node.shell.look(newer, {}))

    assert (change.action, change.name, change.ends) == ("change", DAEMON, ENDS)
    assert '-{"mtu": 1400}\n+{"mtu": 1500}' in change.diff
    assert changes_back(seen(ONE)) == ()


def test_the_plan_says_what_a_restart_ends() -> None:
    change = Change(kind="file", action="change", name=DAEMON, restarts="docker.service", ends=ENDS)
    lines = list(plan_lines([state("general-1", (change,))], {}, diff=False))
    assert lines[1] == f"  ~ {DAEMON}  restarts docker.service; ends {ENDS}"


def test_a_mode_alone_is_a_change() -> None:
    other = ONE.manifest.replace('"mode": "0640"', '"mode": "0600"')
    found = changes(Generation(manifest=other, files=ONE.files), seen(ONE))
    assert {change.detail for change in found} == {"mode 0640 → 0600"}


def test_a_node_that_has_nothing_yet_gets_all_of_it() -> None:
    found = changes(ONE, seen(ONE, wanted=None, applied=None, manifest=None))
    assert {change.action for change in found} == {"add"}
    assert {change.name for change in found if change.kind == "file"} == set(ONE.files)


def test_restarts_that_were_not_done_are_to_be_finished() -> None:
    (change,) = changes(ONE, seen(ONE, pending={"restarts": [UNIT], "reloads": []}))
    assert (change.kind, change.action, change.detail) == ("apply", "finish", f"still to do: {UNIT}")


def state(name: str, found: tuple[Change, ...] = (), trouble: str | None = None) -> NodeState:
    machine = Machine(name=name, address="", role="master", cluster="demo", login=f"{name}.eu")
    target = Target(site="eu", name=name, role=Role.MASTER, machine=machine, generation=ONE)
    return NodeState(target=target, seen=None if trouble else seen(ONE), changes=found, trouble=trouble)


STATES = (
    state(
        "master-1",
        (
            Change(kind="file", action="change", name=CONF, restarts=UNIT, diff="-one\n+two"),
            Change(kind="secret", action="change", name="token", detail="another value", reloads=UNIT),
        ),
    ),
    state("master-2"),
    state("master-3", trouble="ssh: connection timed out"),
)


def test_the_text_of_a_plan() -> None:
    assert list(
        plan_lines(STATES, {"master-4.eu": "planned, not deployed yet: cdktf deploy"}, diff=True)
    ) == [
        "master-1.eu  2 changes",
        f"  ~ {CONF}  restarts {UNIT}",
        "      -one",
        "      +two",
        f"  ~ secret token  another value; reloads {UNIT}",
        "master-2.eu  up to date",
        "master-3.eu  not known: ssh: connection timed out",
        "master-4.eu  planned, not deployed yet: cdktf deploy",
        "Plan: 1 to change, 1 up to date, 1 not known, 1 not deployed.",
    ]


def test_the_json_of_a_plan() -> None:
    document: dict[str, Any] = plan_json("demo", STATES, {})
    assert (document["format"], document["cluster"], document["changes"]) == (1, "demo", 1)
    assert [node["state"] for node in document["nodes"]] == ["changes", "up-to-date", "unknown"]
    assert document["nodes"][0]["changes"][1] == {
        "kind": "secret",
        "action": "change",
        "name": "token",
        "detail": "another value",
        "reloads": UNIT,
    }
