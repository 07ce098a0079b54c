"""Golden texts of how a deployment stands: tests/hooks/standing/NAME.yaml, what was seen and is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from constructs_lib.contracts.compiled import CompiledContract, Deployment, Route
from constructs_lib.hooks.documents import Kept, RouteDocument
from constructs_lib.hooks.observed import (
    Edge,
    Health,
    Instance,
    Judgement,
    Observed,
    Progress,
    RouteState,
    Version,
)
from constructs_lib.hooks.standing import edge_troubles, given_up, standing
from constructs_lib.hooks.watching import Picture
from tests.hooks.simulated import contract

CASES = sorted(Path(__file__).with_name("standing").glob("*.yaml"))
ROUTE = Route(host="shop.example.org", path="/", service="shop")
NOW = 1000.0


def wanted(case: dict[str, Any]) -> CompiledContract:
    deployment = Deployment(**case.get("strategy", {"strategy": "rolling"}))
    routed = ROUTE if "route" in case or case.get("routed") else None
    return contract("shop", "v2", deployment=deployment, route=routed)


def version(name: str, **counts: int) -> Version:
    instances = tuple(
        Instance(task=f"{name}-{health}-{number}", health=Health(health))
        for health, count in counts.items()
        for number in range(count)
    )
    return Version(version=name, asked=len(instances), instances=instances)


def seen(case: dict[str, Any]) -> Picture:
    route, progress = case.get("route"), Progress(**case["progress"])
    document = (
        RouteDocument(contract="shop", service="shop", host=ROUTE.host, path="/", **route) if route else None
    )
    observed = Observed(
        now=NOW,
        versions={name: version(name, **counts) for name, counts in case["versions"].items()},
        edges=tuple(Edge(name=name, generation=number) for name, number in case.get("edges", {}).items()),
        route=RouteState(**route) if route else RouteState(),
        progress=progress,
        judgement=Judgement(why=case.get("judgement", "")),
    )
    return Picture(
        observed=observed,
        kept=Kept(progress=progress, route=document),
        services={},
        problems=case.get("problems", {}),
    )


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_what_is_said(path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    found = standing(wanted(case), seen(case))

    assert (found.says if found else None, found.try_next if found else None) == (
        case["says"],
        case.get("try"),
    )
    assert list(edge_troubles(wanted(case), seen(case))) == case.get("troubles", [])


def test_a_version_that_failed_before_is_still_named_where_another_one_serves() -> None:
    case = {
        "progress": {"version": "v2", "settled": "v2", "refused": {"v1": "crash loop"}},
        "versions": {"v1": {}, "v2": {}},
    }

    assert list(given_up(wanted(case), seen(case))) == ["version v1 was given up before: crash loop"]
