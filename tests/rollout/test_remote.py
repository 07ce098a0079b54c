"""One node over a real sshd: what is seen, what arrives, and what a lost connection leaves behind."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from constructs_lib.access.ssh import Ssh
from constructs_lib.errors import RollError
from constructs_lib.rollout.changes import changes
from constructs_lib.rollout.on_node import boot, running
from constructs_lib.rollout.on_node.state import Node, RefusedError
from constructs_lib.rollout.remote import asking
from constructs_lib.rollout.wanted import Generation
from tests.nodes.node import OWNER, PROGRAM, SYSTEMCTL_DOUBLE
from tests.rollout.conftest import CHECKS, ONE
from tests.rollout.nodes import CONF, UNIT, Behind, ended, generation, until

LOCKED_ONCE = """
import pathlib, runpy, sys
mark = pathlib.Path({mark!r})
if sys.argv[1] == {command!r} and not mark.exists():
    mark.touch()
    sys.exit("clustermesos-apply: error: another clustermesos-apply runs; wait until it has ended")
runpy.run_path({program!r}, run_name="__main__")
"""
HELD_SECONDS = 60
HELD_SYSTEMCTL = """#!/bin/sh
# Double of systemctl: a restart waits until the test has cut the connection.
if [ "$1" = restart ]; then
    for _ in $(seq {seconds}0); do [ -e "$DOUBLES/cut" ] && break; sleep 0.1; done
fi
{double}"""
TWO = generation({CONF: "two\n", "/etc/extra": "x\n"}, checks=CHECKS)
ROLLOUT = {"id": "abc", "who": "alice@laptop", "at": "2026-11-26T03:00:00Z"}


@pytest.mark.slow
def test_a_node_that_has_what_is_wanted_is_up_to_date(node: Behind) -> None:
    seen = node.shell.look(ONE, {})
    assert changes(ONE, seen) == ()
    assert (seen.wanted, seen.applied, seen.busy, seen.incoming) == (1, 1, False, False)


def test_changed_added_and_hand_edited_files_are_told_apart(node: Behind) -> None:
    node.node.at("/usr/local/sbin/clustermesos-apply").write_text("by hand\n")
    found = changes(TWO, node.shell.look(TWO, {}))
    assert {(change.action, change.name) for change in found} == {
        ("change", CONF),
        ("add", "/etc/extra"),
        ("restore", "/usr/local/sbin/clustermesos-apply"),
    }
    conf = next(change for change in found if change.name == CONF)
    assert conf.restarts == UNIT
    assert "-one\n+two" in conf.diff


@pytest.mark.slow
def test_a_secrets_value_is_compared_and_never_travels(node: Behind) -> None:
    secret = {
        "name": "password",
        "path": "/etc/web/password",
        "owner": OWNER,
        "newline": False,
        "restarts": UNIT,
    }
    wanted = generation({CONF: "one\n"}, checks=CHECKS, secrets=[secret])
    node.node.secret("password", "hunter2-old")
    node.shell.apply(wanted, node.shell.look(wanted, {}), ROLLOUT, hear=lambda line: None)

    assert changes(wanted, node.shell.look(wanted, {"password": "hunter2-old"})) == ()
    (change,) = changes(wanted, node.shell.look(wanted, {"password": "hunter2-new"}))
    assert (change.kind, change.action, change.restarts) == ("secret", "change", UNIT)
    assert "hunter2" not in repr(change)
    assert node.shell.look(wanted, {}).secrets == {"password": None}
    assert "hunter2" not in str(asking("look", {"root": "/"}))


@pytest.mark.slow
def test_a_generation_arrives_is_applied_and_leaves_nothing_behind(node: Behind) -> None:
    heard: list[str] = []
    outcome = node.shell.apply(TWO, node.shell.look(TWO, {}), ROLLOUT, heard.append)
    assert (outcome.code, outcome.went_back) == (0, False)
    assert node.conf() == "two\n"
    assert f"restart {UNIT}" in node.node.calls()
    assert f"clustermesos-apply: wrote {CONF}" in heard
    seen = node.shell.look(TWO, {})
    assert changes(TWO, seen) == ()
    assert seen.rollout == ROLLOUT
    assert not (node.node.state / "sending").exists()
    assert not (node.node.state / "incoming").exists()


@pytest.mark.slow
def test_only_what_the_node_lacks_is_sent(node: Behind, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = node.shell.look(TWO, {})
    sent: list[dict[str, object]] = []
    real = type(node.shell.ssh).run

    def run(self: object, *args: object, **options: object) -> object:
        sent.append(json.loads(bytes(options["stdin"]).splitlines()[-1]))  # type: ignore[call-overload]
        return real(self, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(type(node.shell.ssh), "run", run)
    node.shell.apply(TWO, seen, ROLLOUT, lambda line: None)
    files = sent[0]["files"]
    assert isinstance(files, dict)
    assert {path for path, file in files.items() if "text" in file} == {CONF, "/etc/extra"}
    assert len(files) == len(TWO.files)


@pytest.mark.slow
def test_a_rollback_brings_the_former_generation_back(node: Behind) -> None:
    node.shell.apply(TWO, node.shell.look(TWO, {}), ROLLOUT, lambda line: None)
    outcome = node.shell.back(node.shell.look(ONE, {}), lambda line: None)
    assert outcome.code == 0
    assert node.conf() == "one\n"
    assert changes(ONE, node.shell.look(ONE, {})) == ()


@pytest.mark.slow
def test_an_unhealthy_generation_ends_with_3_and_the_reason(node: Behind) -> None:
    (node.node.doubles / "inactive").write_text(f"{UNIT}\n")
    outcome = node.shell.apply(TWO, node.shell.look(TWO, {}), ROLLOUT, lambda line: None)
    assert outcome.code == 3
    assert "web is not healthy: web.service is inactive" in outcome.last
    why = node.shell.why()
    assert why["components"] == {"web": "web.service is inactive"}
    assert why["journals"] == {UNIT: ["first", "last words"]}
    (finish, *_) = changes(TWO, node.shell.look(TWO, {}))
    assert (finish.kind, finish.action) == ("apply", "finish")


@pytest.mark.slow
def test_a_transfer_that_is_cut_off_leaves_the_former_generation(node: Behind) -> None:
    seen = node.shell.look(TWO, {})
    words, stdin = asking(
        "start",
        {
            "root": str(node.node.root),
            "expected": seen.wanted,
            "manifest": TWO.manifest,
            "files": {},
            "id": "x",
        },
    )
    with node.shell.ssh.start(node.shell.login, words) as process:
        assert process.stdin
        process.stdin.write(stdin[:-200])
        process.stdin.flush()
        process.send_signal(signal.SIGKILL)
    assert node.conf() == "one\n"
    assert changes(ONE, node.shell.look(ONE, {})) == ()


@pytest.mark.slow
def test_a_node_that_changed_meanwhile_is_refused(node: Behind) -> None:
    stale = node.shell.look(TWO, {})
    node.shell.apply(TWO, stale, ROLLOUT, lambda line: None)
    with pytest.raises(RollError, match="another one than a moment ago"):
        node.shell.apply(ONE, stale, ROLLOUT, lambda line: None)
    assert node.conf() == "two\n"


@pytest.mark.slow
def test_a_running_apply_is_seen_and_nothing_is_sent(node: Behind) -> None:
    lock = node.node.state / "lock"
    with lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        until("the lock", lambda: node.shell.look(TWO, {}).busy)
        with pytest.raises(RollError, match="another clustermesos-apply runs"):
            node.shell.apply(TWO, node.shell.look(TWO, {}), ROLLOUT, lambda line: None)
        assert not (node.node.state / "incoming").exists()


@pytest.mark.slow
def test_a_boot_that_is_tried_again_and_again_steps_aside(node: Behind) -> None:
    """Its unit would hold the lock most of the time, and take it before a rollback could."""
    node.node.calls()

    node.shell.apply(TWO, node.shell.look(TWO, {}), ROLLOUT, lambda line: None)

    calls = node.node.calls()
    assert calls[:2] == [f"{verb} clustermesos-apply.service" for verb in ("is-active", "stop")]
    assert "start --no-block clustermesos-apply.service" not in calls


@pytest.mark.slow
def test_a_boot_that_does_not_step_aside_is_one_line_and_goes_on(
    node: Behind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boot, "STOPS_WITHIN", 1)
    node.node.double("systemctl", '#!/bin/sh\n[ "$1" = stop ] && exec sleep 60\n' + SYSTEMCTL_DOUBLE)
    monkeypatch.setenv("PATH", node.node.environment()["PATH"])
    monkeypatch.setenv("DOUBLES", str(node.node.doubles))
    here = Node(str(node.node.root))

    with pytest.raises(RefusedError, match=r"^clustermesos-apply\.service has not stopped after 1 s"):
        running.start(here, {"expected": 1})

    assert node.node.calls()[-1] == "start --no-block clustermesos-apply.service"


@pytest.mark.slow
@pytest.mark.parametrize("active", [True, False])
def test_a_boot_that_stepped_aside_for_what_was_refused_goes_on(node: Behind, active: bool) -> None:
    if not active:
        (node.node.doubles / "inactive").write_text("clustermesos-apply.service\n")
    seen = replace(node.shell.look(TWO, {}), wanted=7)

    with pytest.raises(RollError, match="another one than a moment ago"):
        node.shell.apply(TWO, seen, ROLLOUT, lambda line: None)

    began = "start --no-block clustermesos-apply.service" in node.node.calls()
    assert began is active


@pytest.mark.slow
def test_a_first_boot_that_an_operator_could_not_heal_either_is_tried_again(node: Behind) -> None:
    (node.node.state / "applied").unlink()
    (node.node.doubles / "fail").write_text(f"restart {UNIT}\n")

    outcome = node.shell.apply(TWO, node.shell.look(TWO, {}), ROLLOUT, lambda line: None)

    assert outcome.code == 1
    assert node.node.calls()[-1] == "start --no-block clustermesos-apply.service"


@pytest.mark.slow
def test_a_node_that_no_operator_reaches_again_goes_back_by_itself(node: Behind) -> None:
    nobody_confirms(node, TWO)
    until("its end", lambda: ended(node, ONE))
    assert node.conf() == "one\n"
    assert (node.shell.look(ONE, {}).result or {})["went_back"] is True


@pytest.mark.slow
@pytest.mark.parametrize("command", ["apply", "rollback"])
def test_who_looks_at_the_very_moment_keeps_no_node_from_changing_and_going_back(
    node: Behind, command: str
) -> None:
    """A look has the lock for a moment; here a double of clustermesos-apply finds it taken the first time."""
    path = "/usr/local/sbin/clustermesos-apply"
    script = LOCKED_ONCE.format(command=command, mark=str(node.node.doubles / "mark"), program=str(PROGRAM))
    locked = replace(TWO, files={**TWO.files, path: script})
    nobody_confirms(node, locked)
    until("its end", lambda: ended(node, ONE))
    assert (node.node.doubles / "mark").exists()
    assert node.conf() == "one\n"
    assert (node.shell.look(ONE, {}).result or {})["went_back"] is True


def nobody_confirms(node: Behind, wanted: Generation) -> None:
    """Start an apply as an operator does whose connection is lost for good after it."""
    seen = node.shell.look(wanted, {})
    request: dict[str, object] = {
        "root": str(node.node.root),
        "expected": seen.wanted,
        "id": "x",
        "manifest": wanted.manifest,
        "rollout": ROLLOUT,
        "command": "apply",
        "patience": 2,
        "confirm_seconds": 1,
        "files": {p: {"text": t, "sha256": wanted.digests()[p]} for p, t in wanted.files.items()},
    }
    words, stdin = asking("start", request)
    said = node.shell.ssh.run(node.shell.login, words, timeout=120, stdin=stdin)
    assert '"code": 0' in said.out, said.out + said.err


@dataclass(frozen=True, kw_only=True)
class Cut(Ssh):
    """The real ssh; `processes` are those that it started, so that a test can cut one off."""

    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, host: str, words: Sequence[str], options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        process = super().start(host, words, options)
        self.processes.append(process)
        return process


@pytest.mark.slow
def test_a_connection_that_is_lost_meanwhile_is_made_again_and_the_change_is_kept(node: Behind) -> None:
    ssh = Cut(folder=node.shell.ssh.folder, environ=node.shell.ssh.environ)
    shell = replace(node.shell, ssh=ssh, sleep=lambda seconds: time.sleep(0.1))
    heard: list[str] = []
    # Were all of it done and said already, no connection could be lost any more.
    cut = node.node.doubles / "cut"
    node.node.double("systemctl", HELD_SYSTEMCTL.format(seconds=HELD_SECONDS, double=SYSTEMCTL_DOUBLE))

    def hear(line: str) -> None:
        if "generation 2" in line and not cut.exists():
            ssh.processes[-1].kill()
            ssh.processes[-1].wait()
            cut.touch()
        heard.append(line)

    outcome = shell.apply(TWO, shell.look(TWO, {}), ROLLOUT, hear)

    assert any("the connection was lost" in line for line in heard)
    assert (outcome.code, outcome.went_back) == (0, False)
    until("its end", lambda: ended(node, TWO))
    assert node.conf() == "two\n"
    assert changes(TWO, shell.look(TWO, {})) == ()


def test_a_node_where_nothing_is_allowed_says_so_in_one_line(node: Behind) -> None:
    node.node.double("sudo", "#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    with pytest.raises(RollError, match="the node can't be asked: exit code 1: sudo: a password is required"):
        node.shell.look(ONE, {})
