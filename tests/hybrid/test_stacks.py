"""What several stacks of one app know of each other, and how packets find their way between the sites."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.plan.plan import plan
from constructs_lib.sites.openings import Opening, from_networks
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.platforms import PLATFORMS
from tests.hybrid.clusters import CASES, GOLDEN, Json, cluster_plan, synthesized, without_metadata
from tests.nodes.clusters import RELAYED

ROOT = Path(__file__).parents[2]
HOME = '${aws_eip.demo_gateway_address["gateway-1"].public_ip}'


def resources(stack: Json) -> Json:
    """Address → resource."""
    return {
        f"{kind}.{name}": made for kind, named in stack["resource"].items() for name, made in named.items()
    }


def test_stacks_are_deployed_in_the_order_in_which_gateways_call() -> None:
    manifest, _ = synthesized("hybrid")
    assert {name: stack["dependencies"] for name, stack in manifest["stacks"].items()} == {
        "demo-eu": [],
        "demo-dc1": ["demo-eu"],
    }


def test_the_caller_reads_the_public_address_from_the_other_stacks_state() -> None:
    _, stacks = synthesized("hybrid")
    ((output, offered),) = ((k, v) for k, v in stacks["eu"]["output"].items() if k != "cluster")
    (state,) = stacks["dc1"]["data"]["terraform_remote_state"].values()

    assert stacks["eu"]["locals"]["gateway_public_address_eu"] == HOME
    assert offered["value"] == "${local.gateway_public_address_eu}"
    assert stacks["dc1"]["locals"]["gateway_public_address_eu"].endswith(f".outputs.{output}}}")
    assert state["config"]["path"].endswith("/.clustermesos/state/demo-eu.tfstate")
    assert "${local.gateway_public_address_eu}:51820" in json.dumps(stacks["dc1"]["locals"])


def test_a_gateway_that_is_called_by_name_needs_no_other_stack() -> None:
    manifest, stacks = synthesized("relayed")
    assert not [stack["dependencies"] for stack in manifest["stacks"].values() if stack["dependencies"]]
    assert not [site for site, stack in stacks.items() if "terraform_remote_state" in stack.get("data", {})]


@pytest.mark.parametrize("case", CASES)
def test_every_site_leads_every_other_sites_network_to_its_own_gateway(case: str) -> None:
    _, stacks = synthesized(case)
    planned = cluster_plan(case)
    for name, site in planned.sites.items():
        if site.facts.routes_on_nodes:
            continue  # tests/components/test_site_routes.py
        routes = resources(stacks[name])[ROUTES[site.platform]]
        for other in planned.sites.values():
            assert (str(other.network) in routes["for_each"]) is (other.name != name)


ROUTES = {
    "aws": "aws_route.demo_gateway_site-routes",
    "openstack": "openstack_networking_router_route_v2.demo_gateway_site-routes",
}


def test_an_aws_gateway_alone_passes_on_what_is_not_its_own() -> None:
    _, stacks = synthesized("hybrid")
    machines = {
        name: made for name, made in resources(stacks["eu"]).items() if name.startswith("aws_instance.")
    }
    assert {name for name, made in machines.items() if made.get("source_dest_check") is False} == {
        "aws_instance.demo_gateway"
    }


def test_an_openstack_gateways_port_alone_speaks_for_other_sites() -> None:
    _, stacks = synthesized("relayed")
    ports = {
        name: made.get("allowed_address_pairs")
        for name, made in resources(stacks["dc1"]).items()
        if "_port_v2." in name
    }
    pairs = ports.pop("openstack_networking_port_v2.demo_gateway_port")
    assert sorted(pair["ip_address"] for pair in pairs) == ["10.20.0.0/16", "10.40.0.0/16"]
    assert set(ports.values()) == {None}


def test_no_openstack_rule_names_the_gateways_group_which_would_count_other_sites_networks() -> None:
    _, stacks = synthesized("hybrid")
    rules = {name: value for name, value in stacks["dc1"]["locals"].items() if name.endswith("_rules")}
    named = [
        (name, key)
        for name, made in rules.items()
        for key, rule in made.items()
        if "gateway" in str(rule["peer"])
    ]
    assert rules
    assert named == []


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_no_cloud_is_asked_for_one_rule_twice(case: str, direction: str) -> None:
    _, stacks = synthesized(case)
    said = [
        (rule["group"], rule["protocol"], rule["port"], rule["last"], str(rule.get("peer") or rule["ranges"]))
        for rule in aws_rules(stacks["eu"], direction)
    ]
    assert said
    assert len(said) == len(set(said))


def test_a_new_site_or_zone_adds_rules_to_a_group_and_changes_none() -> None:
    def inward(sites: dict[str, Any]) -> dict[str, Opening]:
        made = plan(ClusterSpec.model_validate({**RELAYED, "sites": sites})).site("eu")
        return {opening.key: opening for opening in from_networks(made, made.roles)}

    every = RELAYED["sites"]
    stack = {**every["dc1"]["openstack"], "availability_zones": ["az1", "az2"]}
    wide = {**every["dc1"], "zones": 2, "openstack": stack}
    former = inward({name: every[name] for name in ("eu", "dc1")})
    with_site, with_zone = inward(every), inward({"eu": every["eu"], "dc1": wide})

    for grown in (with_site, with_zone):
        assert former.items() < grown.items()


def aws_rules(stack: Json, direction: str) -> list[Json]:
    made = stack["resource"]["aws_security_group_rule"].values()
    named = [
        rule["for_each"].removeprefix("${local.").removesuffix("}")
        for rule in made
        if rule["type"] == direction
    ]
    return [rule for name in named if name in stack["locals"] for rule in stack["locals"][name].values()]


@pytest.mark.parametrize("case", CASES)
def test_both_ends_of_every_passage_are_open_and_both_gateways_between_them(case: str) -> None:
    planned = cluster_plan(case)
    for name, site in planned.sites.items():
        assert site.link is not None
        for passage in site.link.passages:
            ends = {passage.source_site, passage.to_site}
            way = ends | {other.via for other in site.link.sites if other.name in ends - {name}}
            for at in way:
                link = planned.site(at).link
                assert link is not None
                assert passage in link.passages


def test_only_what_the_plan_calls_by_a_late_value_has_a_public_gateway() -> None:
    for case in CASES:
        for site in cluster_plan(case).sites.values():
            late = [one for one in site.late_values if one.kind == "gateway_public_address"]
            called = [one.subject for one in late if one.subject != site.name]
            assert all(
                PLATFORMS[cluster_plan(case).site(other).platform].public_gateway for other in called
            ), called


def test_an_alone_agent_of_another_site_joins_the_home_masters() -> None:
    assert cluster_plan("hybrid").site("dc1").masters == tuple(
        node.address for node in cluster_plan("hybrid").site("eu").nodes_of(Role.MASTER)
    )


def by_hand(case: str, folder: Path) -> dict[str, Json]:
    """What stacks/hybrid.py makes of a case, by site."""
    shutil.copyfile(GOLDEN / case / "cluster.yaml", folder / "cluster.yaml")
    environ = {name: v for name, v in os.environ.items() if not name.startswith(("CDKTF", "CLUSTERMESOS"))}
    done = subprocess.run(
        [sys.executable, "-m", "stacks.hybrid"],
        cwd=folder,
        env=environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    paths = {
        site: folder / "cdktf.out" / "stacks" / f"demo-{site}" / "cdk.tf.json"
        for site in synthesized(case)[1]
    }
    return {
        site: without_metadata(json.loads(path.read_text(encoding="utf-8"))) for site, path in paths.items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_the_hybrid_cloud_written_by_hand_is_the_composed_one(case: str, tmp_path: Path) -> None:
    stacks = by_hand(case, tmp_path)
    for site, composed in synthesized(case)[1].items():
        without_prefix = re.sub(r"\bdemo_(?=\w+)", "", json.dumps(resources(composed)))
        assert resources(stacks[site]) == json.loads(without_prefix)


@pytest.mark.slow
def test_a_stack_written_by_hand_reads_the_others_state_where_that_keeps_it(tmp_path: Path) -> None:
    stacks = by_hand("hybrid", tmp_path)
    (read,) = stacks["dc1"]["data"]["terraform_remote_state"].values()
    folder = tmp_path / "cdktf.out" / "stacks"

    def at(site: str, path: str) -> str:
        return os.path.normpath(folder / f"demo-{site}" / path)

    kept = stacks["eu"]["terraform"]["backend"]["local"]["path"]
    assert at("dc1", read["config"]["path"]) == at("eu", kept) == str(folder / "demo-eu" / "demo-eu.tfstate")
