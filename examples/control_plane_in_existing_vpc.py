"""A stack of your own that runs the control plane, masters and Consul alone, in a network of yours.

    python examples/control_plane_in_existing_vpc.py    # writes cdktf.out; then: cdktf deploy

You reach the nodes through your own VPN, so there is no gateway; agents are other stacks' business. Each
construct makes its own security group and IAM role.
"""

from __future__ import annotations

from ipaddress import IPv4Network

from constructs import Construct

from constructs_lib.aws import ConsulNode, Masters, Network, Subnet, ZoneSubnets, site_provider
from constructs_lib.components.model import Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform import App, Resource, TerraformStack, local_backend

CLUSTER = {
    "name": "core",
    "sites": {
        "eu": {
            "platform": "aws",
            "aws": {"region": "eu-west-3"},
            "network": "10.60.0.0/16",
            "zones": ["a", "b", "c"],
            "ranges": {
                "a": {"public": "10.60.0.0/24", "control": "10.60.3.0/24", "agents": "10.60.16.0/20"},
                "b": {"public": "10.60.1.0/24", "control": "10.60.4.0/24", "agents": "10.60.32.0/20"},
                "c": {"public": "10.60.2.0/24", "control": "10.60.5.0/24", "agents": "10.60.48.0/20"},
            },
            "masters": {"count": 3, "disk_gib": 50},
            "consul": {"count": 3},
        }
    },
    "admin": {
        "networks": ["203.0.113.0/24"],
        "ssh_keys": [
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX ops@example.org"
        ],
    },
}


def subnets(zone: str, number: int) -> ZoneSubnets:
    """The ids of zone `a` end in 1, those of `b` in 2, and so on; the ranges are those of CLUSTER."""
    return ZoneSubnets(
        public=Subnet(f"subnet-0a0000000000000a{number}", IPv4Network(f"10.60.{number - 1}.0/24")),
        control=Subnet(f"subnet-0a0000000000000b{number}", IPv4Network(f"10.60.{number + 2}.0/24")),
        agents=Subnet(f"subnet-0a0000000000000c{number}", IPv4Network(f"10.60.{number * 16}.0/20")),
    )


class ControlPlane(TerraformStack):
    """Masters, Consul, and an alarm of your own on the first master."""

    def __init__(self, scope: Construct, id: str, site: SitePlan) -> None:
        super().__init__(scope, id)
        local_backend(self, "control-plane.tfstate")
        site_provider(self, site)
        network = Network.existing(
            self,
            "network",
            plan=site,
            vpc_id="vpc-0123456789abcdef0",
            subnets={zone: subnets(zone, number) for number, zone in enumerate("abc", start=1)},
        )

        masters = Masters(self, "masters", plan=site, network=network)
        ConsulNode(self, "consul", plan=site, network=network)

        Resource(
            self,
            "first-master-down",
            "aws_cloudwatch_metric_alarm",
            alarm_name="first-master-down",
            namespace="AWS/EC2",
            metric_name="StatusCheckFailed",
            dimensions={"InstanceId": masters.machines.instance_id(site.nodes_of(Role.MASTER)[0])},
            statistic="Maximum",
            comparison_operator="GreaterThanThreshold",
            threshold=0,
            period=60,
            evaluation_periods=3,
        )


def main() -> None:
    app = App()
    ControlPlane(app, "control-plane", plan(from_dict(CLUSTER)).site("eu"))
    app.synth()


if __name__ == "__main__":
    main()
