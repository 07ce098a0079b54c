"""What runs on nodes is one text that needs no module but Python's own."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

from constructs_lib.rollout import travel
from constructs_lib.rollout.remote import asking
from constructs_lib.rollout.travel import PARTS

FOLDER = Path(travel.__file__).with_name("on_node")
PACKAGE = "constructs_lib.rollout.on_node"


def imported(part: str) -> set[str]:
    nodes = list(ast.walk(ast.parse((FOLDER / f"{part}.py").read_text())))
    plain = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
    return plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}


def test_every_part_travels() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} - {"__init__"} == set(PARTS)


def test_a_part_imports_the_standard_library_and_parts_before_it() -> None:
    for at, part in enumerate(PARTS):
        ours = {f"{PACKAGE}.{before}" for before in PARTS[:at]}
        others = imported(part) - ours
        assert {name.partition(".")[0] for name in others} <= sys.stdlib_module_names, part


def test_the_text_runs_where_nothing_of_ours_is_installed(tmp_path: Path) -> None:
    """-I: no path of this folder, no variable of this environment."""
    request = {"root": str(tmp_path), "nonce": "00", "files": {}, "secrets": {}}
    (_, _, python, _, loader, *more), stdin = asking("look", request)
    assert python == "python3"

    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -I -B -c {loader} "$@"', sys.executable, *more],
        input=stdin,
        capture_output=True,
        check=False,
        timeout=120,
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"]["wanted"] is None
