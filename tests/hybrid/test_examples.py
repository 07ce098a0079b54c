"""Every cluster.yaml that a reader finds, in examples/ and in the documentation, is one that works."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict, load

ROOT = Path(__file__).parents[2]
BY_HAND = {
    "private": "stacks.private",
    "private_libvirt": "stacks.private_libvirt",
    "hybrid": "stacks.hybrid",
}
"""Example → the program that writes the same cloud by hand."""
SHOWN = {"private": "docs/openstack.md", "hybrid": "docs/sites.md"}
"""Example → the page that has the whole of it."""


def example(name: str) -> Path:
    return ROOT / "examples" / name / "cluster.yaml"


def planned(name: str) -> ClusterPlan:
    return plan(load(example(name)))


def run(folder: Path, module: str, *arguments: str) -> set[str]:
    """Run a Python module in `folder` as a user would; the names of the stacks that are there then."""
    ours = ("CDKTF", "CLUSTERMESOS")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env=environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {stack.parent.name for stack in (folder / "cdktf.out" / "stacks").glob("*/cdk.tf.json")}


def cluster_files(page: Path) -> list[str]:
    """The YAML blocks of a page that are a whole cluster.yaml."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    return [
        block for block in blocks if re.search(r"^sites:", block, re.M) and re.search(r"^admin:", block, re.M)
    ]


PAGES = [page for page in sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")]) if cluster_files(page)]


@pytest.mark.slow
@pytest.mark.parametrize("name", BY_HAND)
def test_an_example_is_synthesized_by_the_command_and_by_the_stacks_that_are_written_by_hand(
    name: str, tmp_path: Path
) -> None:
    shutil.copyfile(example(name), tmp_path / "cluster.yaml")
    stacks = {f"shop-{site}" for site in planned(name).sites}

    assert run(tmp_path, "constructs_lib.cli.main", "synth") == stacks
    shutil.rmtree(tmp_path / "cdktf.out")
    assert run(tmp_path, BY_HAND[name]) == stacks


def test_in_the_hybrid_example_the_private_site_calls_the_public_home_site() -> None:
    cluster = planned("hybrid")
    home, private = cluster.site("eu"), cluster.site("dc1")

    assert (home.platform, private.platform) == ("aws", "openstack")
    assert home.home == private.home == "eu"
    assert cluster.order == ("eu", "dc1")
    assert private.link and [peer.site for peer in private.link.peers if peer.address] == ["eu"]


@pytest.mark.parametrize("name", SHOWN)
def test_the_page_of_an_example_shows_the_whole_of_it(name: str) -> None:
    assert example(name).read_text("utf-8") in cluster_files(ROOT / SHOWN[name])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_cluster_file_of_a_page_is_taken(page: Path) -> None:
    for text in cluster_files(page):
        assert plan(from_dict(yaml.safe_load(text))).sites


def test_the_readme_names_each_example() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")

    for name in BY_HAND:
        assert f"(examples/{name}/cluster.yaml)" in readme
