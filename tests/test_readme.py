"""The README is run as a newcomer would run it, in the order in which it stands there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from constructs_lib.cli.main import COMMANDS
from scripts.embedded_aws import free_port
from tests.scripts.demo_words import not_shown

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The fenced blocks of a language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def run(command: str, folder: Path, **environ: str) -> str:
    """What it prints; a command that fails fails the test with all that it said."""
    ours = ("CDKTF", "CLUSTERMESOS", "TF_", "AWS_", "MAKE")
    base = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env=base | environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}"
    return done.stdout


def first_cluster(folder: Path) -> Path:
    (text,) = blocks("yaml")
    (folder / "cluster.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this clone as it was before anything ran in it, on a port of its own; .venv is ours."""
    made = (".*", "cdktf.out", "__pycache__", "cluster.lock.json", "tests")
    folder = tmp_path_factory.mktemp("newcomer") / "clone"
    shutil.copytree(ROOT, folder, symlinks=True, ignore=shutil.ignore_patterns(*made))
    (folder / ".venv").symlink_to(ROOT / ".venv")
    text = (folder / "cluster.yaml").read_text(encoding="utf-8")
    (folder / "cluster.yaml").write_text(text.replace(":5566", f":{free_port()}"), encoding="utf-8")
    return folder


@pytest.mark.embedded
@pytest.mark.slow
def test_the_two_commands_deploy_with_the_real_cdktf_show_what_was_built_and_destroy_it(
    clone: Path, cdktf_command: Path
) -> None:
    assert cdktf_command.exists()
    demo, destroy = blocks("sh")[0].splitlines()

    try:
        built = run(demo, clone)
        assert re.search(r"^master-2 +master +eu-west-3b +10\.20\.80\.12$", built, re.MULTILINE)
        for word in ("gateway-1", "general", "edge_http", "ssh -F", "make demo-destroy"):
            assert word in built
        assert not_shown(built) == []
        assert re.search(r"Resources: 0 added, \d+ changed, 0 destroyed|No changes", run(demo, clone))
    finally:
        gone = run(destroy, clone)
    assert "Destroy complete!" in gone


def test_the_first_cluster_is_short_and_fine(tmp_path: Path) -> None:
    text = (first_cluster(tmp_path) / "cluster.yaml").read_text(encoding="utf-8")

    assert len(text.splitlines()) < 20
    assert list(yaml.safe_load(text)["sites"]) == ["eu"]


@pytest.mark.checkov
def test_the_commands_for_a_first_cluster_work_one_after_the_other(tmp_path: Path, checkov: Path) -> None:
    first_cluster(tmp_path)
    path = os.pathsep.join([str(checkov.parent), str(Path(sys.executable).parent), os.environ["PATH"]])

    said = [run(command, tmp_path, PATH=path) for command in blocks("sh")[1].splitlines()]

    assert said[0].startswith("cluster.yaml: ok (1 site, 3 masters, 1 Consul node, 2 pools)")
    assert re.search(r"^zookeeper_super_password +made$", said[1], re.MULTILINE)
    assert said[2] == "cdktf.out/stacks/shop-eu/cdk.tf.json\n"
    assert "Fine: no check failed without a declared exception." in said[3]


def test_the_table_of_commands_is_the_commands() -> None:
    table = README.partition("## Commands")[2].partition("## ")[0]

    assert set(re.findall(r"^\| `clustermesos (\w+)", table, re.MULTILINE)) == set(COMMANDS)


def test_the_imports_work(tmp_path: Path) -> None:
    (code,) = blocks("python")
    (tmp_path / "imports.py").write_text(code, encoding="utf-8")

    run(f"{sys.executable} imports.py", tmp_path, PYTHONPATH=str(ROOT))


def test_every_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", README)

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_every_make_target_is_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))

    assert set(re.findall(r"make ([a-z-]+)", README)) <= targets
