"""What is kept in Consul, read as it was written, in every site."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.hooks.documents import ConflictError, Documents, RouteDocument
from constructs_lib.hooks.observed import Progress
from tests.hooks.rolling_platform import Platform


class Site:
    """A second site's key/value store."""

    def __init__(self) -> None:
        self.kv = self
        self.kept: dict[str, str] = {}

    def get(self, key: str, *, recurse: bool = False, consistency: str = "") -> tuple[int, Any]:
        found = [
            {"Key": k, "Value": v.encode(), "ModifyIndex": 1}
            for k, v in self.kept.items()
            if k.startswith(key)
        ]
        return 1, found if recurse else next(iter(found), None)

    def put(self, key: str, value: str, cas: int | None = None) -> bool:
        self.kept[key] = value
        return True


def test_a_route_is_the_same_in_every_site_and_whoever_writes_second_looks_again(platform: Platform) -> None:
    other = Site()
    sites: Any = {"eu": platform.consul_client(), "dc1": other}
    documents = Documents(sites, "eu")
    route = RouteDocument(contract=platform.name, service="s", host="h", path="/", generation=1, drain=("a",))

    documents.store_route(route, 0)

    kept = documents.of(platform.name)
    assert (kept.route, kept.behind) == (route, ())
    assert json.loads(other.kept[f"clustermesos/routes/{platform.name}"])["generation"] == 1
    with pytest.raises(ConflictError, match=r"somebody else wrote it in between"):
        documents.store_route(replace(route, generation=2), 0)
    assert documents.of(platform.name).route == route
    other.kept.clear()
    assert documents.all()[platform.name].behind == ("dc1",)
    documents.copy_route(route, ("dc1",))
    assert documents.of(platform.name).behind == ()


def test_progress_is_read_as_it_was_written_and_a_broken_document_is_nothing(platform: Platform) -> None:
    documents = platform.rollout().documents
    progress = Progress(version="v1", floor=2, began=1.5, turned="why", done=False, refused={"v0": "because"})

    documents.store_progress(platform.name, progress, 0)

    kept = documents.of(platform.name)
    assert kept.progress == progress and kept.progress_index > 0
    with pytest.raises(ConflictError):
        documents.store_progress(platform.name, progress, 0)
    consul = platform.consul_client()
    consul.kv.put(f"clustermesos/deployments/{platform.name}", "{")
    consul.kv.put(f"clustermesos/routes/{platform.name}", '{"generation": "x"}')
    broken = documents.of(platform.name)
    assert (
        (broken.progress, broken.route) == (Progress(), None) and broken.progress_index and broken.route_index
    )
