"""Where user data is too small for the program: the script that stands in its place, run for real."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
from pathlib import Path

import pytest
import yaml

from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.cloud_init import APPLY, UNIT, pack
from constructs_lib.nodes.cloud_init import PROGRAM as PLACE
from constructs_lib.nodes.render import render
from constructs_lib.rollout.wanted import secret_source
from constructs_lib.spec.platforms import PLATFORMS
from tests.conftest import need
from tests.nodes.clusters import CASES, SOURCE, on, site
from tests.nodes.node import PROGRAM

PRINTS = 'echo x >>"$TRIES"; [ "$(wc -l <"$TRIES")" -ge 3 ] && cat "$PROGRAM"'
"""A source that has nothing to give at first."""


RECORDER = '#!/bin/sh\n# Double of the program: says how it was called.\necho "called: $*"\n'


def arrive(
    folder: Path, program: str, content: str, digest_of: str = "", *, comes_with_machine: bool = False
) -> subprocess.CompletedProcess[str]:
    """The script, called as `first-boot`; it waits for `digest_of`, else for the real program."""
    planned = site("whole")
    source = dataclasses.replace(SOURCE, program=program, comes_with_machine=comes_with_machine)
    config = yaml.safe_load(pack(render(planned, planned.nodes[0]), source))
    assert APPLY not in [entry["path"] for entry in config["write_files"]]
    [entry] = [entry for entry in config["write_files"] if entry["path"] == PLACE]
    assert entry["permissions"] == "0755"
    script = entry["content"].replace(APPLY, str(folder / "apply")).replace("180", "5")
    script = script.replace(PLACE, str(folder / "placed"))
    if digest_of:
        script = script.replace(_sha(text()), _sha(digest_of))
    (folder / "sleep").write_text("#!/bin/sh\n# Double of sleep.\n")
    (folder / "sleep").chmod(0o755)
    (folder / "program").write_text(content)
    (folder / "placed").write_text(script)
    (folder / "placed").chmod(0o755)
    variables = {"TRIES": str(folder / "tries"), "PROGRAM": str(folder / "program")}
    return subprocess.run(
        [str(folder / "placed"), "first-boot"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables | {"PATH": f"{folder}:{os.environ['PATH']}"},
        timeout=180,
    )


def text() -> str:
    return shipped(APPLY, PROGRAM.read_text(encoding="utf-8"))


def _sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def test_it_is_asked_for_until_it_is_there_then_takes_the_scripts_place_and_goes_on(tmp_path: Path) -> None:
    done = arrive(tmp_path, PRINTS, RECORDER, digest_of=RECORDER)

    assert done.stdout == "called: first-boot\n", done.stderr
    assert (tmp_path / "apply").read_text() == (tmp_path / "placed").read_text() == RECORDER
    assert (tmp_path / "tries").read_text().count("x") == 3


def test_another_program_than_the_one_that_was_rendered_is_not_run(tmp_path: Path) -> None:
    done = arrive(tmp_path, PRINTS, RECORDER)

    assert done.returncode != 0
    assert "called" not in done.stdout


def test_a_source_that_never_gives_it_ends_the_attempt_in_bounded_time_and_the_next_one_asks_again(
    tmp_path: Path,
) -> None:
    done = arrive(tmp_path, "echo 'no role yet' >&2; false", RECORDER, digest_of=RECORDER)

    assert done.returncode != 0
    assert done.stderr.count("no role yet") == 5
    assert (tmp_path / "placed").read_text().startswith("#!/bin/sh\nset -e\napply=")


NOT_THERE = (
    "clustermesos-apply: what came with this machine is not the program that its files were made with; "
)


def test_what_comes_with_the_machine_takes_the_scripts_place_at_once(tmp_path: Path) -> None:
    done = arrive(tmp_path, 'cat "$PROGRAM"', RECORDER, digest_of=RECORDER, comes_with_machine=True)

    assert done.stdout == "called: first-boot\n", done.stderr
    assert (tmp_path / "placed").read_text() == RECORDER


@pytest.mark.parametrize("program", ['cat "$PROGRAM"', "echo 'no disk' >&2; false"])
def test_what_did_not_come_with_the_machine_is_not_waited_for(program: str, tmp_path: Path) -> None:
    done = arrive(tmp_path, program, RECORDER, comes_with_machine=True)

    assert done.returncode == 2
    assert "called" not in done.stdout
    assert done.stderr.splitlines()[-1].startswith(NOT_THERE)
    assert done.stderr.count("no disk") <= 1
    assert (tmp_path / "placed").read_text().startswith("#!/bin/sh\nset -e\napply=")


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
