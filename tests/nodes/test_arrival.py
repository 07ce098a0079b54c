"""Where user data is too small for the program: the script that stands in its place, run for real."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from constructs_lib.components.model import Role
from constructs_lib.errors import RenderError
from constructs_lib.nodes.arrival import BUNDLE
from constructs_lib.nodes.carried import bundle, carried, digest
from constructs_lib.nodes.cloud_init import APPLY, UNIT, pack
from constructs_lib.nodes.cloud_init import PROGRAM as PLACE
from constructs_lib.nodes.generation import INCOMING
from constructs_lib.nodes.render import render
from constructs_lib.rollout.wanted import secret_source
from constructs_lib.spec.platforms import PLATFORMS
from tests.components.platform_backup_here import planned as planned_with_backups
from tests.conftest import need
from tests.nodes.clusters import CASES, SOURCE, on, site

PRINTS = 'echo x >>"$TRIES"; [ "$(wc -l <"$TRIES")" -ge 3 ] && cat "$BUNDLE"'
"""A source that has nothing to give at first."""


RECORDER = '#!/bin/sh\n# Double of the program: says how it was called.\necho "called: $*"\n'


def arrive(
    folder: Path,
    command: str,
    sent: Mapping[str, str],
    wanted: Mapping[str, str] | None = None,
    *,
    once: bool = False,
) -> subprocess.CompletedProcess[str]:
    """The script of a master that saves its state, below `folder` and called as `first-boot`.

    `command` prints the bundle of what is `sent`; it waits for that of `wanted`, else for the real one.
    `once` is a source that comes with the machine.
    """
    planned = planned_with_backups()
    source = dataclasses.replace(SOURCE, bundle=command, carried=carried(planned), comes_with_machine=once)
    config = yaml.safe_load(pack(render(planned, planned.nodes_of(Role.MASTER)[0]), source))
    written = [entry["path"] for entry in config["write_files"]]
    assert not {f"{INCOMING}/files{path}" for path in source.carried} & {*written}
    [entry] = [entry for entry in config["write_files"] if entry["path"] == PLACE]
    assert entry["permissions"] == "0755"
    for path in written:
        (folder / path.lstrip("/")).parent.mkdir(parents=True, exist_ok=True)
    script = entry["content"].replace("180", "5")
    for path in (INCOMING, BUNDLE, PLACE):
        script = re.sub(rf"(?<![\w/.]){path}", f"{folder}{path}", script)
    if wanted:
        script = script.replace(digest(bundle(carried(planned))), digest(bundle(wanted)))
    (folder / "sleep").write_text("#!/bin/sh\n# Double of sleep.\n")
    (folder / "sleep").chmod(0o755)
    (folder / "bundle").write_text(bundle(sent))
    placed = folder / PLACE.lstrip("/")
    placed.write_text(script)
    placed.chmod(0o755)
    variables = {"TRIES": str(folder / "tries"), "BUNDLE": str(folder / "bundle")}
    return subprocess.run(
        [str(placed), "first-boot"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables | {"PATH": f"{folder}:{os.environ['PATH']}"},
        timeout=180,
    )


RECORDED = {PLACE: RECORDER}


def at(folder: Path, path: str) -> Path:
    return folder / path.lstrip("/")


def test_it_is_asked_for_until_it_is_there_then_takes_the_scripts_place_and_goes_on(tmp_path: Path) -> None:
    done = arrive(tmp_path, PRINTS, RECORDED, RECORDED)

    assert done.stdout == "called: first-boot\n", done.stderr
    assert at(tmp_path, APPLY).read_text() == at(tmp_path, PLACE).read_text() == RECORDER
    assert (tmp_path / "tries").read_text().count("x") == 3
    assert not at(tmp_path, BUNDLE).exists()


def test_a_node_takes_of_what_is_carried_what_it_has_and_no_more(tmp_path: Path) -> None:
    """Else its generation would be another one than `nodes apply` sends."""
    real = carried(planned_with_backups()) | {PLACE: RECORDER}

    done = arrive(tmp_path, 'cat "$BUNDLE"', real, real)

    assert done.stdout == "called: first-boot\n", done.stderr
    found = {path: at(tmp_path, f"{INCOMING}/files{path}") for path in real}
    here = {path: place.read_text() for path, place in found.items() if place.exists()}
    assert here == {
        path: real[path]
        for path in (
            PLACE,
            "/usr/local/libexec/chronos-watchdog",
            "/usr/local/sbin/platform-backup",
            "/usr/local/libexec/platform-backup/zookeeper",
        )
    }
    assert {"/usr/local/libexec/platform-backup/consul", "/usr/local/libexec/prometheus-contracts"} < {*real}


def test_a_file_that_would_differ_from_node_to_node_is_not_carried() -> None:
    planned = site("whole")
    source = dataclasses.replace(SOURCE, bundle="true", carried={PLACE: "another text\n"})

    with pytest.raises(RenderError, match="carried beside user data, it has to be the same on all nodes"):
        pack(render(planned, planned.nodes[0]), source)


def test_another_program_than_the_one_that_was_rendered_is_not_run(tmp_path: Path) -> None:
    done = arrive(tmp_path, PRINTS, RECORDED)

    assert done.returncode != 0
    assert "called" not in done.stdout


def test_a_source_that_never_gives_it_ends_the_attempt_in_bounded_time_and_the_next_one_asks_again(
    tmp_path: Path,
) -> None:
    done = arrive(tmp_path, "echo 'no role yet' >&2; false", RECORDED, RECORDED)

    assert done.returncode != 0
    assert done.stderr.count("no role yet") == 5
    assert at(tmp_path, PLACE).read_text().startswith("#!/bin/sh\nset -e\narrived()")


NOT_THERE = (
    "clustermesos-apply: what came with this machine is not the program that its files were made with; "
)


def test_what_comes_with_the_machine_takes_the_scripts_place_at_once(tmp_path: Path) -> None:
    done = arrive(tmp_path, 'cat "$BUNDLE"', RECORDED, RECORDED, once=True)

    assert done.stdout == "called: first-boot\n", done.stderr
    assert at(tmp_path, PLACE).read_text() == RECORDER


@pytest.mark.parametrize("command", ['cat "$BUNDLE"', "echo 'no disk' >&2; false"])
def test_what_did_not_come_with_the_machine_is_not_waited_for(command: str, tmp_path: Path) -> None:
    done = arrive(tmp_path, command, RECORDED, once=True)

    assert done.returncode == 2
    assert "called" not in done.stdout
    assert done.stderr.splitlines()[-1].startswith(NOT_THERE)
    assert done.stderr.count("no disk") <= 1
    assert at(tmp_path, PLACE).read_text().startswith("#!/bin/sh\nset -e\narrived()")


def test_no_unit_tries_again_by_time_what_can_not_be_cured() -> None:
    planned = site("whole")
    unit = render(planned, planned.nodes[0]).file(UNIT).content

    assert "RestartPreventExitStatus=2\n" in unit


@pytest.mark.parametrize("platform", PLATFORMS)
def test_shellcheck_finds_nothing_in_what_a_first_boot_runs(platform: str, tmp_path: Path) -> None:
    planned = on(platform, CASES["whole"])
    config = yaml.safe_load(pack(render(planned, planned.nodes[0]), secret_source(planned)))
    [arrival] = [entry["content"] for entry in config["write_files"] if entry["path"] == PLACE]
    (tmp_path / "arrival").write_text(arrival)
    for name in ("bootcmd", "runcmd"):
        (tmp_path / name).write_text("\n".join(["#!/bin/sh", *config[name], ""]))

    done = subprocess.run(
        [need("shellcheck"), *sorted(tmp_path.iterdir())],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert done.returncode == 0, done.stdout


def test_elsewhere_the_program_is_in_the_user_data() -> None:
    planned = site("whole")
    config = yaml.safe_load(pack(render(planned, planned.nodes[0]), SOURCE))

    assert APPLY in [entry["path"] for entry in config["write_files"]]
    assert PLACE not in [entry["path"] for entry in config["write_files"]]
    assert f"install -m 755 {APPLY} {PLACE}" in config["runcmd"]
