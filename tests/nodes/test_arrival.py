"""Where user data is too small for the program: the shell that waits for it, run for real."""

from __future__ import annotations

import dataclasses
import os
import subprocess
from pathlib import Path

import yaml

from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.cloud_init import APPLY, pack
from constructs_lib.nodes.render import render
from tests.nodes.clusters import SOURCE, site
from tests.nodes.node import PROGRAM

PRINTS = 'echo x >>"$TRIES"; [ "$(wc -l <"$TRIES")" -ge 3 ] && cat "$PROGRAM"'
"""A source that has nothing to give at first."""


def arrive(folder: Path, program: str, content: str) -> subprocess.CompletedProcess[str]:
    planned = site("whole")
    source = dataclasses.replace(SOURCE, program=program)
    config = yaml.safe_load(pack(render(planned, planned.nodes[0]), source))
    assert APPLY not in [entry["path"] for entry in config["write_files"]]
    lines = config["runcmd"]
    assert (lines[0], lines[2]) == ("set -e", ["python3", APPLY, "first-boot"])
    (folder / "sleep").write_text("#!/bin/sh\n# Double of sleep.\n")
    (folder / "sleep").chmod(0o755)
    (folder / "program").write_text(content)
    script = f"set -e\n{lines[1]}\necho went on\n".replace(APPLY, str(folder / "apply")).replace("180", "5")
    variables = {"TRIES": str(folder / "tries"), "PROGRAM": str(folder / "program")}
    return subprocess.run(
        ["sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | variables | {"PATH": f"{folder}:{os.environ['PATH']}"},
        timeout=60,
    )


def text() -> str:
    return shipped(APPLY, PROGRAM.read_text(encoding="utf-8"))


def test_it_is_asked_for_until_it_is_there(tmp_path: Path) -> None:
    done = arrive(tmp_path, PRINTS, text())

    assert done.stdout == "went on\n", done.stderr
    assert (tmp_path / "apply").read_text() == text()
    assert (tmp_path / "tries").read_text().count("x") == 3


def test_another_program_than_the_one_that_was_rendered_is_not_run(tmp_path: Path) -> None:
    done = arrive(tmp_path, PRINTS, text() + "\n")

    assert done.returncode != 0
    assert "went on" not in done.stdout


def test_a_source_that_never_gives_it_ends_the_boot_in_bounded_time(tmp_path: Path) -> None:
    done = arrive(tmp_path, "echo 'no role yet' >&2; false", text())

    assert done.returncode != 0
    assert done.stderr.count("no role yet") == 5
    assert "went on" not in done.stdout


def test_elsewhere_the_program_is_in_the_user_data() -> None:
    planned = site("whole")
    config = yaml.safe_load(pack(render(planned, planned.nodes[0]), SOURCE))

    assert APPLY in [entry["path"] for entry in config["write_files"]]
    assert config["runcmd"] == ["set -e", ["python3", APPLY, "first-boot"]]
