from __future__ import annotations

import dataclasses
import random
import re
import string
from typing import Any

import pytest

from constructs_lib.aws import ConsulNode, Masters, Network
from constructs_lib.aws.machines import IGNORED
from constructs_lib.components.model import Role
from constructs_lib.errors import RenderError, SpecError
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Expr, TerraformStack
from tests.aws.clusters import CASES, Json, cluster_stack, only, resources, site_plan, synthesize


def masters(site: SitePlan) -> Json:
    return synthesize(lambda stack: Masters(stack, "m", plan=site, network=Network(stack, "net", plan=site)))


def alone(case: str = "demo", rules_per_group: int = 100, **settings: Any) -> SitePlan:
    """A plan whose parts can stand alone: what others' groups would name, their ranges take rules for."""
    site = site_plan(case, **settings)
    assert site.aws is not None
    own_words = site.aws.model_copy(update={"rules_per_group": rules_per_group})
    return dataclasses.replace(site, aws=own_words)


def instances(stack: Json) -> list[Json]:
    return [body for address, body in resources(stack).items() if address.startswith("aws_instance.")]


@pytest.mark.parametrize("case", CASES)
def test_every_planned_node_is_a_machine_with_its_planned_address_in_its_zone(case: str) -> None:
    site = site_plan(case)

    found = {
        name: place for body in instances(cluster_stack(site)) for name, place in body["for_each"].items()
    }

    assert {name: place["address"] for name, place in found.items()} == {
        node.name: str(node.address) for node in site.nodes
    }
    for node in site.nodes:
        kind = "public" if node.role is Role.GATEWAY else "control"
        assert (
            found[node.name]["subnet"] == f'aws_subnet.{site.cluster}_network_{kind}["{node.zone.name}"].id'
        )


def test_masters_alone_in_three_zones_fit_into_the_quota_that_every_account_has() -> None:
    stack = masters(alone(rules_per_group=60))

    made = [
        rule
        for address, body in resources(stack).items()
        if address.startswith("aws_security_group_rule.") and body["type"] == "ingress"
        for rule in body["for_each"].values()
    ]
    assert sum(len(rule.get("ranges", "1")) for rule in made) <= 60
    asked = {
        (port, rule["protocol"], str(rule.get("ranges")))
        for rule in made
        for port in range(rule["port"], rule["last"] + 1)
    }
    roomy = masters(alone(rules_per_group=100))
    assert asked == {
        (port, rule["protocol"], str(rule.get("ranges")))
        for address, body in resources(roomy).items()
        if address.startswith("aws_security_group_rule.") and body["type"] == "ingress"
        for rule in body["for_each"].values()
        for port in range(rule["port"], rule["last"] + 1)
    }


@pytest.mark.parametrize("case", CASES)
def test_machines_answer_only_the_second_metadata_service_and_no_container(case: str) -> None:
    stack = cluster_stack(site_plan(case))

    bodies = [
        body
        for address, body in resources(stack).items()
        if address.startswith(("aws_instance.", "aws_launch_template."))
    ]

    wanted = {"http_endpoint": "enabled", "http_tokens": "required", "http_put_response_hop_limit": 1}
    assert bodies and all(body["metadata_options"] == wanted for body in bodies)


@pytest.mark.parametrize("case", CASES)
def test_every_disk_is_encrypted(case: str) -> None:
    stack = cluster_stack(site_plan(case))
    bodies = resources(stack)

    assert all(body["root_block_device"]["encrypted"] is True for body in instances(stack))
    assert all(
        body["encrypted"] is True for name, body in bodies.items() if name.startswith("aws_ebs_volume.")
    )
    assert all(
        body["block_device_mappings"]["ebs"]["encrypted"] == "true"
        for name, body in bodies.items()
        if name.startswith("aws_launch_template.")
    )


@pytest.mark.parametrize(
    "change",
    [
        {"masters": {"memory_gib": 64}, "consul": {"cpus": 16}, "edge": {"count": 1, "cpus": 8}},
        {"aws": {"region": "eu-west-3", "image": "ami-00000000000000000"}},
        {
            "aws": {
                "region": "eu-west-3",
                "kms_key_arn": "arn:aws:kms:eu-west-3:123456789012:key/0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            }
        },
        {"mtu": 8951},
    ],
    ids=["size", "image", "key", "text"],
)
def test_a_plain_deploy_changes_nothing_of_a_running_machine(change: Json) -> None:
    before = resources(cluster_stack(site_plan(edge={"count": 1})))
    after = resources(cluster_stack(site_plan(**change)))

    for address, body in before.items():
        if address.startswith(("aws_instance.", "aws_ebs_volume.", "aws_volume_attachment.")):
            changed = {key for key in body if body[key] != after[address].get(key)}
            assert changed <= {*body.get("lifecycle", {}).get("ignore_changes", [])}, address


def test_what_would_replace_a_machine_by_drift_is_ignored() -> None:
    body = only(masters(alone()), "aws_instance")

    assert body["lifecycle"]["ignore_changes"] == IGNORED
    assert {"ami", "user_data", "user_data_base64", "instance_type"} <= set(IGNORED)


def test_data_volumes_are_kept_where_data_is_protected() -> None:
    assert only(masters(alone(protect_data=True)), "aws_ebs_volume")["lifecycle"]["prevent_destroy"] is True
    assert "prevent_destroy" not in only(masters(alone(protect_data=False)), "aws_ebs_volume")["lifecycle"]


def test_a_data_volume_stands_in_the_zone_of_its_machine_with_the_size_asked_for() -> None:
    site = alone(masters={"count": 3, "disk_gib": 77})
    volume = only(masters(site), "aws_ebs_volume")

    assert volume["size"] == 77
    assert volume["for_each"] == {
        node.name: f"eu-west-3{node.zone.name}" for node in site.nodes_of(Role.MASTER)
    }


def test_each_machine_gets_its_own_text_with_the_id_of_its_own_volume() -> None:
    stack = masters(alone())

    texts = stack["locals"]["m_user_data"]
    assert sorted(texts) == ["master-1", "master-2", "master-3"]
    for name, text in texts.items():
        assert re.findall(r"\$\{(aws_ebs_volume[^}]*)\}", text) == [f'aws_ebs_volume.m_data["{name}"].id']
    assert only(stack, "aws_instance")["user_data_base64"] == "${base64gzip(local.m_user_data[each.key])}"


@pytest.mark.parametrize("case", CASES)
def test_no_secret_and_no_marker_is_left_in_a_text(case: str) -> None:
    stack = cluster_stack(site_plan(case))

    assert "@@late:" not in str(stack["locals"])
    assert "${var." not in str(stack["locals"])


def test_machines_boot_after_their_road_their_rules_and_their_permissions() -> None:
    body = only(masters(alone()), "aws_instance")

    assert {
        "aws_route.net_private-default",
        "aws_route_table_association.net_private-members",
        "aws_security_group_rule.m_firewall_to-networks",
        "aws_iam_role_policy.m_access_master-policy",
    } <= set(body["depends_on"])


def test_masters_and_consul_fit_beside_each_other_without_a_cluster() -> None:
    site = alone("whole")

    def build(stack: TerraformStack) -> None:
        network = Network(stack, "net", plan=site)
        Masters(stack, "m", plan=site, network=network)
        ConsulNode(stack, "c", plan=site, network=network)

    assert len(instances(synthesize(build))) == 2


def with_cloud_config(**role_settings: Any) -> SitePlan:
    """The demo's plan with extra cloud-config for its masters, unchecked."""
    return dataclasses.replace(alone(), cloud_config={Role.MASTER: role_settings})


def test_a_text_that_asks_for_a_late_value_nobody_gives_is_refused() -> None:
    with pytest.raises(SpecError, match="gateway_public_address:eu"):
        masters(with_cloud_config(bootcmd=["@@late:gateway_public_address:eu@@"]))


def test_a_late_value_from_elsewhere_lands_in_the_text() -> None:
    site = with_cloud_config(bootcmd=["@@late:gateway_public_address:eu@@"])
    late = {"gateway_public_address:eu": Expr("aws_eip.other.public_ip")}

    def build(stack: TerraformStack) -> Any:
        return Masters(stack, "m", plan=site, network=Network(stack, "net", plan=site), late=late)

    assert "${aws_eip.other.public_ip}" in synthesize(build)["locals"]["m_user_data"]["master-1"]


def test_user_data_over_the_limit_of_ec2_is_refused_with_its_size() -> None:
    noise = "".join(random.Random(4).choices(string.ascii_lowercase + string.digits, k=40_000))

    with pytest.raises(RenderError, match=r"demo/eu/master-1.*16,384"):
        masters(with_cloud_config(bootcmd=[noise]))
