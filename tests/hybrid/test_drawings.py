"""Each drawing in docs/ shows the sites, nodes and pools of its cluster.yaml, neither more nor less."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from constructs_lib.plan.model import ClusterPlan, PoolPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from tests.hybrid.test_examples import ROOT, cluster_files, example

DOCS = ROOT / "docs"
NEWCOMER = "cluster.svg"
"""Of the cluster.yaml that the README begins with."""
DRAWINGS = {NEWCOMER, "private.svg", "private_libvirt.svg", "hybrid.svg"}
NUMBERED = re.compile(r"\b([a-z]+)-(\d+)\b")
FROM_TO = re.compile(r"\b([a-z]+)-(\d+) (?:to|…) \1-(\d+)\b")
SIZED = re.compile(r"\b([a-z]+) \((\d+)\)")
"""`general (3)`: a pool and its size."""


def planned(drawing: str) -> ClusterPlan:
    if drawing != NEWCOMER:
        return plan(from_dict(yaml.safe_load(example(drawing.removesuffix(".svg")).read_text("utf-8"))))
    (text,) = cluster_files(ROOT / "README.md")
    return plan(from_dict(yaml.safe_load(text)))


def texts(drawing: str) -> list[str]:
    """What stands in it to be read, from its first to its last element."""
    elements = ElementTree.parse(DOCS / drawing).iter("{http://www.w3.org/2000/svg}text")
    return [" ".join("".join(element.itertext()).split()) for element in elements]


def numbered(drawing: str) -> Iterator[str]:
    """Every `master-1`, also those that `master-1 … master-3` leaves out."""
    for text in texts(drawing):
        for name, first, last in FROM_TO.findall(text):
            yield from (f"{name}-{number}" for number in range(int(first), int(last) + 1))
        yield from ("-".join(found) for found in NUMBERED.findall(FROM_TO.sub("", text)))


def pools(cluster: ClusterPlan) -> dict[str, PoolPlan]:
    return {pool.name: pool for site in cluster.sites.values() for pool in site.pools}


def test_every_drawing_belongs_to_a_cluster_file_and_stands_on_a_page() -> None:
    pages = "".join(page.read_text("utf-8") for page in (ROOT / "README.md", *DOCS.glob("*.md")))

    assert {file.name for file in DOCS.glob("*.svg")} == DRAWINGS
    assert {Path(shown).name for shown in re.findall(r"!\[[^]]+\]\(([^)]+\.svg)\)", pages)} == DRAWINGS


@pytest.mark.parametrize("drawing", sorted(DRAWINGS))
def test_a_drawing_has_each_node_of_the_plan_as_often_as_there_are_sites_with_it(drawing: str) -> None:
    cluster = planned(drawing)
    nodes = Counter(node.name for site in cluster.sites.values() for node in site.nodes)

    drawn = Counter(name for name in numbered(drawing) if name.rpartition("-")[0] not in pools(cluster))

    assert drawn == nodes


@pytest.mark.parametrize("drawing", sorted(DRAWINGS))
def test_a_drawing_names_each_pool_and_no_agent_beyond_its_size(drawing: str) -> None:
    known = pools(planned(drawing))
    agents = [name.rpartition("-") for name in numbered(drawing) if name.rpartition("-")[0] in known]
    named = {name for name, _, _ in agents}
    for text in texts(drawing):
        named |= {*re.findall(r"^pool ([a-z]+)$", text), *(name for name, _ in SIZED.findall(text))}

    assert named == known.keys()
    assert all(int(number) <= known[name].max for name, _, number in agents)


@pytest.mark.parametrize("drawing", sorted(DRAWINGS))
def test_a_drawing_says_how_many_agents_a_pool_has_where_it_says_it(drawing: str) -> None:
    known, found = pools(planned(drawing)), dict[str, tuple[int, int]]()
    pool = ""
    for text in texts(drawing):
        pool = next(iter(re.findall(r"^pool ([a-z]+)$", text)), pool)
        for name, size in SIZED.findall(text):
            found[name] = (int(size), int(size))
        for name, first, last in FROM_TO.findall(text):
            if name in known:
                found[name] = (int(last) - int(first) + 1,) * 2
        for least, most in re.findall(r"\b(?:(\d+) to )?(\d+) agents", text):
            found[pool] = (int(least or most), int(most))

    assert found == {name: (known[name].min, known[name].max) for name in found}
    assert found.keys() == known.keys() or drawing == "private_libvirt.svg", "which shows where they are"


@pytest.mark.parametrize("drawing", sorted(DRAWINGS))
def test_a_drawing_has_the_networks_and_where_there_are_several_the_names_of_the_sites(drawing: str) -> None:
    sites, said = planned(drawing).sites, " ".join(texts(drawing))

    networks = set(re.findall(r"\b\d+\.\d+\.\d+\.\d+/\d+", said))
    named = set(re.findall(r"\bsite ([a-z]+\d*)(?=[ ,]*(?:the home site )?[(,])", said))

    assert networks == {str(site.network) for site in sites.values()}
    assert named == (set(sites) if len(sites) > 1 else set())
