"""A whole cluster in a stack of your own, beside resources that this library knows nothing of.

    python examples/cluster_beside_foreign_resources.py    # writes cdktf.out; then: cdktf deploy

Secrets are variables of the stack, named as the plan names them:
TF_VAR_zookeeper_super_password=… cdktf deploy
"""

from __future__ import annotations

from constructs import Construct

from constructs_lib.aws import MesosCluster, site_provider
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform import App, Resource, TerraformStack, local_backend

CLUSTER = {
    "name": "shop",
    "sites": {
        "eu": {
            "platform": "aws",
            "aws": {"region": "eu-west-3"},
            "network": "10.60.0.0/16",
            "zones": 2,
            "masters": {"count": 3},
            "agents": {"general": {"count": 2}},
        }
    },
    "admin": {
        "networks": ["203.0.113.0/24"],
        "ssh_keys": [
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX ops@example.org"
        ],
    },
}


class Shop(TerraformStack):
    """The cluster, and a queue that applications on it read; both in one `terraform apply`."""

    def __init__(self, scope: Construct, id: str, site: SitePlan) -> None:
        super().__init__(scope, id)
        local_backend(self, "shop.tfstate")
        site_provider(self, site)
        cluster = MesosCluster(self, "mesos", plan=site)

        Resource(self, "orders", "aws_sqs_queue", name="orders", kms_master_key_id="alias/aws/sqs")
        # What the cluster made can be used: here its network gets one endpoint more.
        Resource(
            self,
            "queue-endpoint",
            "aws_vpc_endpoint",
            vpc_id=cluster.network.vpc_id,
            service_name="com.amazonaws.eu-west-3.sqs",
            vpc_endpoint_type="Interface",
            subnet_ids=[subnets.agents.id for subnets in cluster.network.subnets.values()],
        )


def main() -> None:
    app = App()
    Shop(app, "shop", plan(from_dict(CLUSTER)).site("eu"))
    app.synth()


if __name__ == "__main__":
    main()
