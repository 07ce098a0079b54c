"""A whole site: every other construct, put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.openstack.agents import AgentPool
from constructs_lib.openstack.backup import BackupBucket
from constructs_lib.openstack.consul_node import ConsulNode
from constructs_lib.openstack.edge import Edge
from constructs_lib.openstack.firewall import Firewall
from constructs_lib.openstack.gateway import Gateway
from constructs_lib.openstack.images import machine_image
from constructs_lib.openstack.key_pair import key_pair
from constructs_lib.openstack.masters import Masters
from constructs_lib.openstack.network import Network
from constructs_lib.openstack.secrets import Secrets
from constructs_lib.openstack.settings import openstack_of
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.last_stack import as_json
from constructs_lib.sites.openstack_quota import quota
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct, Expr, Output


class MesosCluster(Construct):
    """One site of a cluster on OpenStack, with everything that its plan names.

    `network` puts it into a network that is there already. `output` is the name of the stack's output,
    `secret_values` gives expressions for secrets by name: a second cluster in the same stack needs both,
    since names of outputs and variables are the stack's. `late` gives the public addresses of other sites'
    gateways that this one calls, by the late value's name (`gateway_public_address:SITE`). The output is one
    JSON object, read by `clustermesos` and by later stages:

        cluster, site, platform ("openstack"), region, network (CIDR), network_id, subnet_id
        network_mtu   of the largest packet in bytes; with links to other sites containers send less
        backup_bucket the container for backups, where there is one
        nodes         name → {role, zone, address, instance_id}; agents are not listed, see pools
        pools         name → {min, max, agents: name → {id, address}}
        gateway       {name, address, public_address}
        endpoints     name → URL: "edge_http" is the first edge, where there is one
        edges         name → address for visitors, where there is an edge
        login         {user, gateway}: `ssh -J user@gateway user@address`
        late_values   name of a late value → its value
        quota         what the site takes of the project's quota, by the words of `openstack quota show`
    """

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        network: Network | None = None,
        output: str = "cluster",
        secret_values: Mapping[str, str] | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__(scope, id)
        self._plan = plan
        roles = plan.roles
        self.network = network or Network(self, "network", plan=plan)
        self.firewall = Firewall(self, "firewall", plan=plan)
        self.key_pair = key_pair(self, plan)
        shared: dict[str, Any] = {
            "plan": plan,
            "network": self.network,
            "firewall": self.firewall,
            "secrets": Secrets(self, "secrets", plan=plan, roles=roles, values=secret_values),
            "image": machine_image(self, plan),
        }
        self.gateway = Gateway(self, "gateway", late=late, **shared) if Role.GATEWAY in roles else None
        shared["late"] = self._late = {**(late or {}), **(self.gateway.late_values if self.gateway else {})}
        self.masters = Masters(self, "masters", **shared) if Role.MASTER in roles else None
        self.consul = ConsulNode(self, "consul", **shared) if Role.CONSUL in roles else None
        self.pools = {
            pool.name: AgentPool(self, f"agents-{pool.name}", pool=pool.name, **shared) for pool in plan.pools
        }
        self.edge = Edge(self, "edge", **shared) if Role.EDGE in roles else None
        wanted = openstack_of(plan).backup_container
        self.backup = BackupBucket(self, "backup", plan=plan) if wanted else None
        description = self._describe()
        self.described = as_json(description)
        Output(self, output, description, description=f"The cluster {plan.cluster}, site {plan.name}.")

    def _describe(self) -> dict[str, Any]:
        plan = self._plan
        groups = [part.machines for part in (self.gateway, self.masters, self.consul, self.edge) if part]
        late: dict[str, Expr] = {**self._late, **self.network.late_values}
        for machines in groups:
            late |= machines.late_values
        return {
            "cluster": plan.cluster,
            "site": plan.name,
            "platform": plan.platform,
            "region": openstack_of(plan).region,
            "network": str(plan.network),
            "network_id": self.network.network_id,
            "subnet_id": self.network.subnet_id,
            "network_mtu": self.network.mtu,
            **({"backup_bucket": self.backup.name} if self.backup else {}),
            "nodes": {name: node for machines in groups for name, node in machines.outputs().items()},
            "pools": {name: pool.outputs() for name, pool in self.pools.items()},
            "endpoints": {f"edge_{name}": url for name, url in self.edge.endpoints.items()}
            if self.edge
            else {},
            **({"edges": self.edge.addresses} if self.edge else {}),
            **self._way_in(),
            "late_values": late,
            "quota": quota(plan, own_network=self.network.own),
        }

    def _way_in(self) -> dict[str, Any]:
        if self.gateway is None:
            return {}
        node = self.gateway.machines.nodes[0]
        public = self.gateway.public_address
        return {
            "gateway": {"name": node.name, "address": str(node.address), "public_address": public},
            "login": {"user": self._plan.admin.user, "gateway": public},
        }
