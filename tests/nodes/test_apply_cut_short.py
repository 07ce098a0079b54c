"""clustermesos-apply cut short: killed, out of room, or two at once; the next run heals it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.nodes.node import CONF, STAGE, UNIT, UNIT_CHECK, Node


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("files", [5, 20])
def test_a_run_that_is_killed_half_way_is_healed_by_the_next(node: Node, files: int) -> None:
    old = {f"/etc/web/{number}.conf": f"old {number}\n" for number in range(40)}
    new = {path: text.replace("old", "new") for path, text in old.items()}
    units = dict.fromkeys(old, UNIT)
    node.send(old, restarts=units, stages=[STAGE])
    assert node.apply("first-boot").returncode == 0
    node.calls()

    node.send(new, restarts=units, stages=[STAGE])
    kill_after(node, files)

    states = {node.at(path).read_text() for path in old}
    assert states <= set(old.values()) | set(new.values())
    assert any(node.at(path).read_text() == old[path] for path in old), "killed too late to prove anything"
    assert node.calls() == []
    again = node.apply("boot")
    assert again.returncode == 0, again.stderr
    assert all(node.at(path).read_text() == text for path, text in new.items())
    assert f"restart {UNIT}" in node.calls()
    assert list(node.at("/etc/web").glob(".*")) == []


def test_a_crash_before_the_generation_has_its_number_loses_nothing(node: Node) -> None:
    node.send({CONF: "one\n"})
    (node.state / "generations").mkdir(parents=True)
    (node.state / "wanted").symlink_to("generations/1")

    assert node.apply("boot").returncode == 0
    assert node.at(CONF).read_text() == "one\n"
    assert node.status()["applied"] == 1


def test_a_reboot_while_a_generation_arrives_brings_up_the_one_before(node: Node) -> None:
    node.send({CONF: "one\n"})
    node.apply("first-boot")
    node.send({CONF: "two\n"})
    (node.state / "incoming/manifest.json").unlink()

    assert node.apply("apply").returncode == 2
    assert node.apply("boot").returncode == 0
    assert node.at(CONF).read_text() == "one\n"


def test_a_path_that_cannot_be_written_is_named(node: Node) -> None:
    node.at("/etc").mkdir()
    node.at("/etc/web").write_text("a file where a folder has to be")
    node.send({CONF: "one\n"})

    done = node.apply("first-boot")

    assert done.returncode == 1
    assert done.stderr == (
        f"clustermesos-apply: error: cannot write {CONF}: File exists: {node.at('/etc/web')}\n"
    )


@pytest.mark.slow
def test_two_runs_at_once_do_not_mix(node: Node) -> None:
    node.send({CONF: "one\n"}, stages=[STAGE | {"checks": UNIT_CHECK, "seconds": 300}])
    (node.doubles / "inactive").write_text(f"{UNIT}\n")
    first = subprocess.Popen(
        node.command("first-boot", patience=300),
        env=node.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    wait_for((node.state / "generations" / "1").exists)

    second = node.apply()

    (node.doubles / "inactive").unlink()
    assert second.returncode == 1
    assert "another clustermesos-apply runs" in second.stderr
    first.communicate(timeout=300)
    assert first.returncode == 0


@pytest.mark.root
def test_a_full_disk_leaves_the_old_file_as_it_was(node: Node) -> None:
    small = node.at("/etc/web")
    small.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a tmpfs")
    try:
        node.send({CONF: "old\n"})
        assert node.apply("first-boot").returncode == 0
        node.send({CONF: "x" * 200_000})

        done = node.apply()

        assert done.returncode == 1
        assert done.stderr.startswith(
            f"clustermesos-apply: error: cannot write {CONF}: No space left on device"
        )
        assert node.at(CONF).read_text() == "old\n"
        assert list(small.glob(".*")) == []
    finally:
        subprocess.run(["umount", str(small)], check=True)


KILLED = """
import builtins, os, runpy, signal, sys
left, real = int(sys.argv[1]), print
def counted(*words, **options):
    global left
    real(*words, **options)
    left -= "wrote" in str(words)
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)
builtins.print = counted
del sys.argv[:2]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Whoever reads what it says, and kills it then, may come too late."""


def kill_after(node: Node, files: int) -> None:
    """SIGKILL as soon as the run has said that it wrote so many files."""
    command = [sys.executable, "-c", KILLED, str(files), *node.command("apply")[1:]]
    done = subprocess.run(
        command, env=node.environment(), capture_output=True, text=True, check=False, timeout=180
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert done.stdout.count("wrote") == files


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not happened():
        assert time.monotonic() < end, "waited 120 s in vain"
        time.sleep(0.05)
