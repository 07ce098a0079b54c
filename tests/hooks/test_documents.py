"""What is kept in Consul, read as it was written, in every site."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.hooks.documents import ConflictError, Documents, Kept, LocalStore, RouteDocument
from constructs_lib.hooks.observed import Progress
from constructs_lib.hooks.versions import former, stored
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


WRONG = {
    "deployments": (
        {"version": "v2", "refused": None},
        {"version": "v2", "refused": {"v1": 1}},
        {"version": "v2", "progressed": "yesterday"},
        {"version": 2},
        {"version": "v2", "done": "no"},
        {"version": "v2", "most": 1.5},
    ),
    "routes": (
        {"weights": None},
        {"weights": {"v1": "all"}},
        {"generation": "7"},
        {"drain": [1]},
        {"drain": "a"},
        {"host": None},
        {"on_drain_timeout": "never"},
    ),
    "counts": ({"count": "4"}, {"count": True}, {"count": 4, "at": "now"}, {"count": 4, "why": []}),
}
ROUTE = {"contract": "shop", "service": "shop", "host": "h", "path": "/", "weights": {"v1": 100}}


def kept(folder: str, document: object) -> Kept:
    store = LocalStore()
    store.put(f"clustermesos/{folder}/shop", json.dumps(document))
    found = Documents({"eu": store}, "eu").of("shop")
    assert found == Documents({"eu": store}, "eu").all()["shop"]
    return found


@pytest.mark.parametrize(("folder", "wrong"), [(key, one) for key, some in WRONG.items() for one in some])
def test_of_a_document_with_a_value_of_a_wrong_type_nothing_is_known(
    folder: str, wrong: dict[str, Any]
) -> None:
    found = kept(folder, {**ROUTE, **wrong} if folder == "routes" else wrong)

    assert replace(found, progress_index=0, route_index=0) == Kept()


def test_what_a_later_version_of_this_program_adds_is_no_obstacle() -> None:
    assert kept("routes", {**ROUTE, "later": 1, "drain": ["a"]}).route == RouteDocument(
        **{**ROUTE, "drain": ("a",)}  # type: ignore[arg-type]  # fields of several types
    )
    assert kept("deployments", {"version": "v2", "began": 5, "later": 1}).progress == Progress(
        version="v2", began=5.0
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.mark.slow
@given(
    st.sampled_from(["deployments", "routes", "counts"]),
    JSON | st.dictionaries(st.sampled_from([*vars(Progress()), *ROUTE, "count", "at", "why", "drain"]), JSON),
)
def test_whatever_somebody_writes_is_read_as_something_or_nothing(folder: str, document: object) -> None:
    found = kept(folder, document)

    assert isinstance(found.progress.refused, dict) and isinstance(found.progress.progressed, float | int)
    assert found.count is None or type(found.count) is int


def test_a_version_whose_body_somebody_broke_is_none_to_go_back_to(platform: Platform) -> None:
    store = LocalStore()
    text = json.dumps([{"version": "v0", "body": None}, {"version": "v1", "body": {"id": "/a/v1"}}])
    store.put("clustermesos/versions/a", text)

    assert list(stored(store, "a")) == ["v1"]
    contract = replace(platform.contract("v2"), name="a")
    assert former(store, contract, "v2", None).app.version == "v1"
