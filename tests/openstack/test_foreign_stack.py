"""Two clusters in a network that the user's own stack makes, with the real terraform and plugin."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
from ipaddress import IPv4Network

import pytest

from constructs_lib.errors import RollError
from constructs_lib.openstack import MesosCluster, Network, site_provider
from constructs_lib.openstack.rolling import KINDS
from constructs_lib.plan.model import SitePlan
from constructs_lib.roll.reading import ReadPlan, judge
from constructs_lib.terraform import DataSource, Resource, TerraformStack, Variable
from tests.openstack.clusters import Json, plan_of, settings, synthesize, with_site
from tests.openstack.conftest import Terraform
from tests.openstack.double_server import running

WHOLE = IPv4Network("10.0.0.0/8")


def first_and_second(**first: object) -> tuple[SitePlan, SitePlan]:
    """Two sites inside one subnet; keyword arguments change the first."""
    small = settings("small")
    other = with_site(small | {"name": "other"}, network="10.40.0.0/20")
    return plan_of(with_site(small, protect_data=False, **first)), plan_of(
        with_site(other, protect_data=False)
    )


def foreign_stack(*sites: SitePlan) -> Json:
    def build(stack: TerraformStack) -> None:
        site_provider(stack, sites[0])
        public = DataSource(stack, "public", "openstack_networking_network_v2", name="public", external=True)
        net = Resource(stack, "net", "openstack_networking_network_v2", name="theirs", admin_state_up=True)
        subnet = Resource(
            stack,
            "subnet",
            "openstack_networking_subnet_v2",
            network_id=net.ref("id"),
            cidr=str(WHOLE),
            gateway_ip="10.0.0.1",
            allocation_pool=[{"start": "10.200.0.10", "end": "10.200.255.250"}],
        )
        router = Resource(
            stack, "router", "openstack_networking_router_v2", external_network_id=public.ref("id")
        )
        interface = Resource(
            stack,
            "interface",
            "openstack_networking_router_interface_v2",
            router_id=router.ref("id"),
            subnet_id=subnet.ref("id"),
        )
        for number, site in enumerate(sites):
            network = Network.existing(
                stack,
                f"{site.cluster}-net",
                plan=site,
                network_id=net.ref("id"),
                subnet_id=subnet.ref("id"),
                range=WHOLE,
                road=[interface],
            )
            output = "cluster" if number == 0 else f"{site.cluster}_cluster"
            values = None if number == 0 else _apart(stack, site)
            MesosCluster(stack, site.cluster, plan=site, network=network, output=output, secret_values=values)

    return synthesize(build)


def _apart(stack: TerraformStack, site: SitePlan) -> dict[str, str]:
    """Variables for the secrets of a second cluster, which has others by the same names."""
    return {
        secret.name: Variable(stack, f"{site.cluster}_{secret.name}", sensitive=True).ref()
        for secret in site.secrets
    }


def test_floating_addresses_wait_for_the_road_that_the_stack_makes() -> None:
    stack = foreign_stack(*first_and_second())

    for body in stack["resource"]["openstack_networking_floatingip_v2"].values():
        assert body["depends_on"] == ["openstack_networking_router_interface_v2.interface"]
    for body in stack["resource"]["openstack_compute_instance_v2"].values():
        assert "openstack_networking_router_interface_v2.interface" in body["depends_on"]


@pytest.mark.terraform
def test_two_clusters_live_in_one_stack_and_a_replacement_in_one_touches_nothing_else(
    openstack_terraform: Terraform,
) -> None:
    one, other = first_and_second()
    stack = foreign_stack(one, other)
    given = [f"-var={name}=x" for name in stack["variable"]]
    with running() as double:
        terraform = dataclasses.replace(
            openstack_terraform, environ=openstack_terraform.environ | double.environment
        )

        def changes(planned: Json, *arguments: str) -> ReadPlan:
            terraform.write(planned)
            terraform("plan", "-input=false", "-out=plan", *given, *arguments)
            return ReadPlan.of(json.loads(terraform("show", "-json", "plan")))

        terraform.write(stack)
        terraform("init", "-input=false")
        terraform("apply", "-auto-approve", "-input=false", *given)

        names = {server["name"] for server in double.kept["servers"].values()}
        assert names == {
            f"{site.cluster}-dc1-{name}"
            for site in (one, other)
            for name in ("gateway-1", "master-1", "consul-1", "general-1")
        }
        for text in double.nova.user_data.values():
            node = gzip.decompress(base64.b64decode(text)).decode()
            assert ('"mtu": 1450,' in node) is ("/etc/docker/daemon.json" in node)
        assert changes(stack).loud() == ()
        larger, _ = first_and_second(masters={"count": 1, "cpus": 4, "memory_gib": 16})
        address = 'openstack_compute_instance_v2.small_masters["master-1"]'
        rolled = changes(foreign_stack(larger, other), f"-replace={address}")
        assert [change.address for change in rolled.loud()] == [address]
        # Which of the two is meant is not to be guessed: `clustermesos roll` knows stacks of one site.
        with pytest.raises(RollError, match="master-1: the plan holds 2 machines of that name"):
            judge(rolled, "master-1", str(one.masters[0]), KINDS)

        terraform.write(foreign_stack(one, other))
        terraform("destroy", "-auto-approve", "-input=false", *given)
        assert {kind for kind, kept in double.kept.items() if kept} == {"networks"}
