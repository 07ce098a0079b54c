"""A stack of your own that adds agents, in an OpenStack network of yours, to masters that run already.

    python examples/agent_pool_in_existing_openstack_network.py    # writes cdktf.out; then: cdktf deploy

Network and subnet are given by id and range, masters and Consul by address. The agents get a security group
of their own; let the masters' group admit their range. Keep the subnet's DHCP away from it: an allocation
pool apart from the pool's addresses.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from constructs import Construct

from constructs_lib.openstack import AgentPool, Network, site_provider
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform import App, Output, Resource, TerraformStack, local_backend

CLUSTER = {
    "name": "extra",
    "sites": {
        "dc1": {
            "platform": "openstack",
            "openstack": {"cloud": "dc1", "external_network": "public", "image": "ubuntu-24.04"},
            # The part of your subnet that the plan may cut; the agents take its second eighth.
            "network": "10.50.0.0/16",
            "masters": {"existing": ["10.50.16.11", "10.50.16.12", "10.50.16.13"]},
            "consul": {"existing": ["10.50.20.11"]},
            "agents": {"analytics": {"count": 4, "flavor": "SCS-8V-64", "attributes": {"tier": "batch"}}},
        }
    },
    "admin": {
        "networks": ["203.0.113.0/24"],
        "ssh_keys": [
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX ops@example.org"
        ],
    },
}


class Analytics(TerraformStack):
    """Your own stack: here a container that has nothing to do with Mesos, and a pool."""

    def __init__(self, scope: Construct, id: str, site: SitePlan) -> None:
        super().__init__(scope, id)
        local_backend(self, "analytics.tfstate")
        site_provider(self, site)
        results = Resource(self, "results", "openstack_objectstorage_container_v1", name="analytics-results")

        network = Network.existing(
            self,
            "network",
            plan=site,
            network_id="3f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            subnet_id="4f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0",
            range=IPv4Network("10.48.0.0/14"),
        )
        pool = AgentPool(self, "agents", plan=site, pool="analytics", network=network)

        Output(self, "results_container", results.ref("name"))
        Output(self, "agent_addresses", pool.outputs()["agents"])


def main() -> None:
    app = App()
    Analytics(app, "analytics", plan(from_dict(CLUSTER)).site("dc1"))
    app.synth()


if __name__ == "__main__":
    main()
