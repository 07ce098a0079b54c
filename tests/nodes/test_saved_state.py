"""Which node saves what of the platform's own state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from constructs_lib.nodes.saved_state import saved_state
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.components.platform_backup_here import FIELDS
from tests.nodes.clusters import WHOLE


def saved(cluster: Mapping[str, Any], site: str = "eu") -> dict[str, tuple[str, ...]]:
    return dict(saved_state(plan(ClusterSpec.model_validate(cluster)).site(site)))


def test_every_node_that_holds_state_saves_its_own_and_no_other_node_does() -> None:
    assert saved(WHOLE | FIELDS) == {
        "consul-1": ("consul", "registry"),
        "master-1": ("zookeeper",),
        "master-2": ("zookeeper",),
        "master-3": ("zookeeper",),
    }


def test_without_a_target_nothing_is_saved() -> None:
    assert saved(WHOLE) == {}


def test_the_second_consul_node_has_no_registry() -> None:
    whole = json.loads(json.dumps(WHOLE | FIELDS))
    whole["sites"]["eu"]["consul"] = {"count": 3}

    assert saved(whole)["consul-2"] == ("consul",)
