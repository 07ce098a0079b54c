"""Secrets of applications: for the pools that cluster.yaml names, on each platform and on the node."""

from __future__ import annotations

import json
from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.nodes.generation import SecretSource, manifest
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.aws import clusters as aws
from tests.contracts.clusters import hybrid
from tests.libvirt import clusters as libvirt
from tests.openstack import clusters as openstack
from tests.plan.clusters import ADMIN

POOLS = {"general": {"count": 1}, "data": {"count": 1}}
SECRETS = {"shop/db": {"pools": ["data"], "made": True}, "shop/api-key": {"pools": ["data", "general"]}}


def site() -> Any:
    return planned_with(POOLS, SECRETS).site("eu")


def planned_with(agents: dict[str, Any], app_secrets: dict[str, Any]) -> ClusterPlan:
    where = {"platform": "aws", "aws": {"region": "eu-west-3"}, "network": "10.20.0.0/16", "agents": agents}
    given = {"name": "demo", "admin": ADMIN, "sites": {"eu": where}, "app_secrets": app_secrets}
    return plan(ClusterSpec.model_validate(given))


def names(secrets: Any) -> set[str]:
    return {secret.name for secret in secrets if secret.pools is not None}


def test_only_agents_of_the_named_pools_read_them() -> None:
    planned = site()
    assert names(planned.secrets_of(Role.AGENT, "data")) == {"app_shop_db", "app_shop_api_key"}
    assert names(planned.secrets_of(Role.AGENT, "general")) == {"app_shop_api_key"}
    assert not names(planned.secrets_of(Role.MASTER))


def test_made_or_supplied_is_what_cluster_yaml_says() -> None:
    kinds = {secret.name: secret.declared.kind for secret in site().secrets}
    assert (kinds["app_shop_db"], kinds["app_shop_api_key"]) == ("password", "supplied")


def test_a_site_without_a_named_pool_has_nothing_of_it() -> None:
    planned = hybrid()
    assert "app_shop_db" in names(planned.site("home").secrets)
    assert not names(planned.site("cloud").secrets)
    assert "app_shop_db" in names(planned.secrets)


def test_on_the_agent_it_is_a_file_in_a_folder_of_roots() -> None:
    planned = site()
    files = render(planned, planned.pool("data"))
    (folder,) = [each for each in files.directories if each.path == "/etc/clustermesos/app-secrets"]
    assert (folder.mode, folder.owner) == (0o700, "root")
    found = {entry["name"]: entry for entry in manifest(files, SecretSource(command="x"))["secrets"]}  # type: ignore[attr-defined]
    assert found["app_shop_db"] == {
        "name": "app_shop_db",
        "path": "/etc/clustermesos/app-secrets/shop/db",
        "mode": "444",
    }


def test_agents_of_other_pools_and_other_nodes_have_nothing_of_it() -> None:
    planned = site()
    (master,) = planned.nodes_of(Role.MASTER)[:1]
    assert not [s for s in render(planned, master).secrets if s.name.startswith("app_")]
    assert [
        s.name for s in render(planned, planned.pool("general")).secrets if s.name.startswith("app_")
    ] == ["app_shop_api_key"]


@pytest.mark.parametrize("platform", [openstack, libvirt], ids=["openstack", "libvirt"])
def test_a_machine_gets_those_of_its_own_pool_alone(platform: Any) -> None:
    settings = platform.settings("private")
    (name, where), *_ = settings["sites"].items()
    first = next(iter(where["agents"]))
    where["agents"]["second"] = {"count": 1, "cpus": 1, "memory_gib": 1}
    settings["app_secrets"] = {"shop/db": {"pools": [first]}}
    stack = platform.cluster_stack(plan(ClusterSpec.model_validate(settings)).site(name))
    bodies = {
        f"{kind}.{each}": json.dumps(body)
        for kind, of_kind in stack["resource"].items()
        for each, body in of_kind.items()
    }
    handed = {
        each for each, body in bodies.items() if "mesos_agent_password" in body and "jsonencode" in body
    }
    have_it = {each for each, body in bodies.items() if "app_shop_db" in body}
    assert len(handed) >= 2
    assert len(have_it) == 1 and have_it < handed and f"{first}" in have_it.pop()


def test_on_aws_it_is_a_parameter_that_agents_alone_may_read() -> None:
    settings = aws.settings("demo")
    (name, where), *_ = settings["sites"].items()
    settings["app_secrets"] = {"shop/db": {"pools": [next(iter(where["agents"]))]}}
    stack = aws.cluster_stack(plan(ClusterSpec.model_validate(settings)).site(name))
    parameters = [key for key in stack["resource"]["aws_ssm_parameter"] if key.endswith("app_shop_db")]
    assert len(parameters) == 1
    policies = stack["resource"]["aws_iam_role_policy"]
    readers = [key for key, policy in policies.items() if "app_shop_db" in json.dumps(policy)]
    assert len(readers) == 1 and "agent" in readers[0]
