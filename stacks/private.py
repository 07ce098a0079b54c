"""The private cloud of cluster.yaml on OpenStack, written by hand from the constructs.

    python -m stacks.private    # reads cluster.yaml in the current folder; writes cdktf.out and nothing else

Secrets are variables of the stack, named as the plan names them: TF_VAR_zookeeper_super_password and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constructs import Construct

from constructs_lib.openstack import (
    AgentPool,
    ConsulNode,
    Edge,
    Firewall,
    Gateway,
    Masters,
    Network,
    Secrets,
    site_provider,
)
from constructs_lib.openstack.images import machine_image
from constructs_lib.openstack.key_pair import key_pair
from constructs_lib.plan.lock import read_lock
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from constructs_lib.terraform import App, Offered, Output, TerraformStack, local_backend, take


class PrivateCloud(TerraformStack):
    """One OpenStack site: what `MesosCluster` does, spelled out."""

    def __init__(
        self, scope: Construct, id: str, site: SitePlan, offered: Mapping[str, Offered] | None = None
    ) -> None:
        super().__init__(scope, id)
        # Relative to the stack's folder, and the same file from that of another stack which reads this one.
        local_backend(self, f"../{id}/{id}.tfstate")
        site_provider(self, site)

        # Where the gateways of other sites are that this one calls (see stacks/hybrid.py).
        elsewhere = {value: take(self, value, found) for value, found in (offered or {}).items()}

        # The ground that every machine stands on.
        network = Network(self, "network", plan=site)
        ground: dict[str, Any] = {
            "plan": site,
            "network": network,
            "firewall": Firewall(self, "firewall", plan=site),
            "secrets": Secrets(self, "secrets", plan=site, roles=site.roles),
            "image": machine_image(self, site),
        }

        # Where cluster.yaml has one made; all machines of the stack share it.
        key_pair(self, site)

        # The machines. Leave one out, or give it another firewall, and it is your own cloud.
        self.gateway = Gateway(self, "gateway", late=elsewhere, **ground)
        late = {**elsewhere, **self.gateway.late_values}
        if site.name == site.home:
            Masters(self, "masters", late=late, **ground)
        ConsulNode(self, "consul", late=late, **ground)
        for pool in site.pools:
            AgentPool(self, f"agents-{pool.name}", pool=pool.name, late=late, **ground)
        if site.edge_spec:
            edge = Edge(self, "edge", late=late, **ground)
            Output(self, "edge_endpoints", edge.endpoints)
        Output(self, "gateway_address", self.gateway.public_address)


def main() -> None:
    """Synthesize every site of cluster.yaml."""
    workspace = Workspace.find()
    planned = plan(load(workspace.cluster_file), read_lock(workspace.lock_file))
    app = App()
    for name, site in planned.sites.items():
        PrivateCloud(app, f"{planned.name}-{name}", site)
    app.synth()


if __name__ == "__main__":
    main()
