"""clustermesos-apply travels short and is read long: both are the same program."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from constructs_lib.nodes.bare_python import PYTHON, bare, shipped, short_name
from scripts.node_program import BUILT, FOLDER, SHORT, built


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="other Pythons write some code another way")
def test_what_travels_is_made_from_what_is_read() -> None:
    texts = built()
    there = {path: path.read_text(encoding="utf-8") for path in (BUILT, *SHORT.iterdir())}
    assert there == texts, "run python -m scripts.node_program"


def test_it_is_python_that_this_python_reads() -> None:
    for path in (BUILT, *SHORT.iterdir()):
        compile(path.read_text(encoding="utf-8"), str(path), "exec", dont_inherit=True)


def test_the_program_travels_as_it_was_built_and_is_not_taken_apart() -> None:
    source = BUILT.read_text(encoding="utf-8")
    bare.cache_clear()
    assert shipped(f"/usr/local/sbin/{BUILT.name}", source) == source == bare(source)
    assert bare.cache_info().misses == 1, "only this test has taken it apart"


def test_a_script_that_was_changed_travels_without_its_comments_until_it_is_made_short() -> None:
    source = "#!/usr/bin/python3\n# gone\nprint('changed')\n"

    assert shipped("/usr/local/bin/x", source) == "#!/usr/bin/python3\nprint('changed')\n"
    assert shipped("/etc/x", "# stays\n") == "# stays\n"


SCRIPTS = {
    short_name(text): text
    for path in sorted(FOLDER.parent.rglob("*"))
    if path.is_file() and path.parent != SHORT and path != BUILT
    for text in [path.read_text(encoding="utf-8")]
    if text.startswith(PYTHON)
}
"""Name of the short form → the script."""


def attributes(text: str) -> set[str]:
    return {node.attr for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Attribute)}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_short_script_uses_no_name_that_nothing_gave_it(name: str) -> None:
    command = ("ruff", "check", "--isolated", "--no-cache", "--quiet", "--select=F821,F811")
    done = subprocess.run([*command, SHORT / name], capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_short_script_asks_others_for_what_the_long_one_does(name: str) -> None:
    short = (SHORT / name).read_text(encoding="utf-8")

    assert attributes(short) == attributes(SCRIPTS[name])
