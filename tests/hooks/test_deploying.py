"""A rollout is made of what a platform has."""

from __future__ import annotations

from constructs_lib.hooks.analysis import Analysts
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.deploying import rollout_of
from constructs_lib.hooks.endpoints import Endpoints, planned
from constructs_lib.hooks.platform import Platform
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import HYBRID


def test_every_site_has_its_consul_and_its_prometheus_and_all_edges_are_asked() -> None:
    cluster = plan(ClusterSpec.model_validate(HYBRID))
    endpoints = Endpoints(instances=planned(cluster))

    with Platform(cluster, endpoints, Deadline(1.0), {}) as platform:
        rollout = rollout_of(platform, forgive=True)

        assert set(rollout.sites) == set(cluster.sites) and rollout.home in rollout.sites
        assert isinstance(rollout.analyst, Analysts) and rollout.forgive
        assert set(platform.prometheuses) == set(cluster.sites)


def test_a_platform_without_consul_and_prometheus_keeps_and_judges_nothing() -> None:
    cluster = plan(ClusterSpec.model_validate(HYBRID))
    alone = Endpoints(instances={"marathon": planned(cluster)["marathon"]})

    with Platform(cluster, alone, Deadline(1.0), {}) as platform:
        rollout = rollout_of(platform)

        assert rollout.sites == {} and rollout.analyst is None
        assert rollout.edges.look() == ()
