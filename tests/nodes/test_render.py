from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path

import pytest

from constructs_lib.components import components_of
from constructs_lib.components.model import Role
from constructs_lib.errors import RenderError
from constructs_lib.nodes.bare_python import bare, shipped
from constructs_lib.nodes.generation import manifest
from constructs_lib.nodes.render import render
from constructs_lib.nodes.templates import TEMPLATE_FOLDER, environment, render_template
from tests.nodes.clusters import CASES, SOURCE, nodes, site


def test_the_same_plan_gives_the_same_files() -> None:
    for case in CASES:
        environment.cache_clear()
        first = [render(site(case), node) for node in nodes(site(case))]
        environment.cache_clear()
        assert first == [render(site(case), node) for node in nodes(site(case))]


def test_no_file_holds_a_terraform_token_and_late_values_are_the_declared_ones() -> None:
    for case in CASES:
        for node in nodes(site(case)):
            files = render(site(case), node)
            assert all("TfToken" not in file.content for file in files.files)
            assert set(files.late_values) <= set(site(case).late_values)


def test_a_master_waits_for_its_own_volume_and_no_other() -> None:
    planned = site("whole")
    for master in planned.nodes_of(Role.MASTER):
        assert [late.name for late in render(planned, master).late_values] == [
            f"data_volume_id:{master.name}"
        ]


def test_all_agents_of_a_pool_share_one_text() -> None:
    files = render(site("whole"), site("whole").pools[0])

    assert (files.name, files.hostname, files.role) == ("general", None, Role.AGENT)


def test_two_files_at_one_path_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    planned = site("small")
    components = components_of(Role.GATEWAY)
    twice = (*components, dataclasses.replace(components[0], secrets=()))
    monkeypatch.setattr("constructs_lib.nodes.render.components_of", lambda role: twice)

    with pytest.raises(RenderError, match="two components put a file there"):
        render(planned, planned.nodes_of(Role.GATEWAY)[0])


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("one\ntwo {{ missing }}\n", "cloud-init/broken/broken.j2:2: 'missing' is undefined"),
        ("one\n{% if %}\n", "cloud-init/broken/broken.j2:2: Expected an expression"),
        ("{% include 'no.j2' %}", "cloud-init/no.j2: no such template (needed for broken/broken.j2)"),
        ("one\n\n{{ plan.nothing }}\n", "cloud-init/broken/broken.j2:3: "),
    ],
)
def test_a_wrong_template_is_named_with_its_line(
    template: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/broken.j2").write_text(template)
    monkeypatch.setattr("constructs_lib.nodes.templates.TEMPLATE_FOLDER", tmp_path)

    with pytest.raises(RenderError) as raised:
        render_template("broken/broken.j2", {"plan": object()})

    assert str(raised.value).startswith(words)


def test_a_declared_file_that_is_not_there_is_named() -> None:
    with pytest.raises(RenderError, match="cloud-init/base/nowhere: there is no such file"):
        render_template("base/nowhere", {})


def test_scripts_lose_comments_and_docstrings_and_nothing_else() -> None:
    for path in TEMPLATE_FOLDER.rglob("*"):
        if not path.is_file():
            continue
        source = path.read_text(encoding="utf-8")
        if source.startswith("#!/usr/bin/python3") or path.suffix == ".py":
            assert ast.dump(ast.parse(bare(source))) == ast.dump(without_docstrings(ast.parse(source)))


def test_lines_inside_a_string_stay_as_they_are() -> None:
    source = '#!/usr/bin/python3\n"""Gone."""\n\n# gone\nTEXT = """a\n\n# stays\n"""\nx = 1  # stays too\n'

    assert bare(source) == '#!/usr/bin/python3\nTEXT = """a\n\n# stays\n"""\nx = 1  # stays too\n'


def without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            body[:] = [
                statement
                for statement in body
                if not (
                    isinstance(statement, ast.Expr)
                    and isinstance(statement.value, ast.Constant)
                    and isinstance(statement.value.value, str)
                )
            ]
    return tree


def test_shell_scripts_lose_comments_but_not_what_they_write() -> None:
    source = """#!/bin/sh
# Says so.
set -eu
  # Why.
cat >file <<'TEXT'
# not a comment
TEXT
# At the end.
echo "# neither" # nor this
"""
    assert (
        shipped("/usr/local/libexec/thing", source)
        == """#!/bin/sh
set -eu
cat >file <<'TEXT'
# not a comment
TEXT
echo "# neither" # nor this
"""
    )


@pytest.mark.parametrize("role", [Role.CONSUL, Role.EDGE])
def test_components_that_share_a_repository_share_the_name_of_its_files(role: Role) -> None:
    """apt reads no source at all where two files name one repository with keys at two places."""
    planned = site("whole")
    node = planned.nodes_of(role)[0]
    packages = json.loads(json.dumps(manifest(render(planned, node), SOURCE)))["packages"]

    names: dict[str, set[str]] = {}
    for entry in packages:
        if "repository" in entry:
            place = f"{entry['repository']['uri']} {entry['repository']['suite']}"
            names.setdefault(place, set()).add(entry["component"])

    assert names["https://apt.releases.hashicorp.com {codename}"] == {"consul"}
    assert all(len(found) == 1 for found in names.values())
