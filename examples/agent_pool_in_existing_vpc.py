"""A stack of your own that adds agents, in a network of yours, to masters that run already.

    python examples/agent_pool_in_existing_vpc.py    # writes cdktf.out; then: cdktf deploy

Nothing is looked up: subnets are given by id and range, masters and Consul by address. The agents get a
security group, an IAM role and a launch template of their own; let the masters' group admit their ranges.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from constructs import Construct

from constructs_lib.aws import AgentPool, Network, Subnet, ZoneSubnets, site_provider
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform import App, Output, Resource, TerraformStack, local_backend

CLUSTER = {
    "name": "extra",
    "sites": {
        "eu": {
            "platform": "aws",
            "aws": {"region": "eu-west-3"},
            "network": "10.50.0.0/16",
            "zones": ["a", "b"],
            # How your own subnets are cut; the plan takes each role's range out of them.
            "ranges": {
                "a": {"public": "10.50.0.0/24", "control": "10.50.2.0/24", "agents": "10.50.16.0/20"},
                "b": {"public": "10.50.1.0/24", "control": "10.50.3.0/24", "agents": "10.50.32.0/20"},
            },
            "masters": {"existing": ["10.50.2.11", "10.50.3.12", "10.50.2.13"]},
            "consul": {"existing": ["10.50.2.75"]},
            "agents": {
                "analytics": {
                    "min": 1,
                    "max": 8,
                    "cpus": 8,
                    "memory_gib": 64,
                    "attributes": {"tier": "batch"},
                }
            },
        }
    },
    "admin": {
        "networks": ["203.0.113.0/24"],
        "ssh_keys": [
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX ops@example.org"
        ],
    },
}
SUBNETS = {
    "a": ZoneSubnets(
        public=Subnet("subnet-0aaa0000000000001", IPv4Network("10.50.0.0/24")),
        control=Subnet("subnet-0aaa0000000000002", IPv4Network("10.50.2.0/24")),
        agents=Subnet("subnet-0aaa0000000000003", IPv4Network("10.50.16.0/20")),
    ),
    "b": ZoneSubnets(
        public=Subnet("subnet-0bbb0000000000001", IPv4Network("10.50.1.0/24")),
        control=Subnet("subnet-0bbb0000000000002", IPv4Network("10.50.3.0/24")),
        agents=Subnet("subnet-0bbb0000000000003", IPv4Network("10.50.32.0/20")),
    ),
}


class Analytics(TerraformStack):
    """Your own stack: here a topic that has nothing to do with Mesos, and a pool."""

    def __init__(self, scope: Construct, id: str, site: SitePlan) -> None:
        super().__init__(scope, id)
        local_backend(self, "analytics.tfstate")
        site_provider(self, site)
        topic = Resource(
            self, "results", "aws_sns_topic", name="analytics-results", kms_master_key_id="alias/aws/sns"
        )

        network = Network.existing(
            self, "network", plan=site, vpc_id="vpc-0123456789abcdef0", subnets=SUBNETS
        )
        pool = AgentPool(self, "agents", plan=site, pool="analytics", network=network)

        Output(self, "topic", topic.ref("arn"))
        Output(self, "group", pool.outputs()["autoscaling_group"])


def main() -> None:
    app = App()
    Analytics(app, "analytics", plan(from_dict(CLUSTER)).site("eu"))
    app.synth()


if __name__ == "__main__":
    main()
