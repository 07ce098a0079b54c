"""A stack of your own that lets people in: a gateway and an edge, before a cluster that runs already.

    python examples/front_of_running_cluster.py    # writes cdktf.out; then: cdktf deploy

The network is made here and joined to the cluster's by you; its masters and Consul are given by address. Each
construct makes its own security group and IAM role.
"""

from __future__ import annotations

from constructs import Construct

from constructs_lib.aws import BackupBucket, Edge, Gateway, Network, NodeAccess, site_provider
from constructs_lib.components.model import Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform import App, Output, Resource, TerraformStack, local_backend

CLUSTER = {
    "name": "front",
    "sites": {
        "eu": {
            "platform": "aws",
            "aws": {"region": "eu-west-3"},
            "network": "10.70.0.0/16",
            "zones": ["a", "b"],
            "masters": {"existing": ["10.60.3.11", "10.60.4.12", "10.60.5.13"]},
            "consul": {"existing": ["10.60.3.75"]},
            "edge": {"count": 2},
        }
    },
    "admin": {
        "networks": ["203.0.113.0/24"],
        "ssh_keys": [
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX ops@example.org"
        ],
    },
}


class Front(TerraformStack):
    """A gateway for your engineers, an edge for everybody, and a record of your own for its address."""

    def __init__(self, scope: Construct, id: str, site: SitePlan) -> None:
        super().__init__(scope, id)
        local_backend(self, "front.tfstate")
        site_provider(self, site)
        network = Network(self, "network", plan=site)

        # Shared, so that both may write to the one bucket for backups.
        backup = BackupBucket(self, "backup", plan=site)
        access = NodeAccess(self, "access", plan=site, roles=[Role.GATEWAY, Role.EDGE], backup=backup)
        gateway = Gateway(self, "gateway", plan=site, network=network, access=access)
        edge = Edge(self, "edge", plan=site, network=network, access=access, late=gateway.late_values)

        Resource(
            self,
            "apps",
            "aws_route53_record",
            zone_id="Z0123456789ABCDEFGHIJ",
            name="apps.example.org",
            type="CNAME",
            ttl=300,
            records=[edge.balancer.ref("dns_name")],
        )
        Output(self, "login", gateway.public_address)


def main() -> None:
    app = App()
    Front(app, "front", plan(from_dict(CLUSTER)).site("eu"))
    app.synth()


if __name__ == "__main__":
    main()
