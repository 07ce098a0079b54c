"""A whole site: every other construct, put together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.libvirt.agents import AgentPool
from constructs_lib.libvirt.capacity import hosts, require_hosts
from constructs_lib.libvirt.consul_node import ConsulNode
from constructs_lib.libvirt.edge import Edge
from constructs_lib.libvirt.gateway import Gateway
from constructs_lib.libvirt.masters import Masters
from constructs_lib.libvirt.network import Network
from constructs_lib.libvirt.secrets import Secrets
from constructs_lib.libvirt.storage import Storage
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.last_stack import as_json
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct, Expr, Output


class MesosCluster(Construct):
    """One site of a cluster on libvirt, with everything that its plan names.

    `network` puts it on another bridge. `output` is the name of the stack's output, `secret_values` gives
    expressions for secrets by name: a second cluster in the same stack needs both, since names of outputs and
    variables are the stack's. `late` gives late values that come from outside, by name: public addresses of
    other sites' gateways. The output is one JSON object, read by `clustermesos` and by later stages:

        cluster, site, platform ("libvirt"), network (CIDR)
        hosts         zone → {host, machines, cpus, memory_gib, disk_gib}: what the site takes of each
        nodes         name → {role, zone, address, instance_id}; agents are not listed, see pools
        pools         name → {min, max, agents: name → {id, address}}
        gateway       {name, address, public_address}
        endpoints     name → URL: "edge_http" is the first edge, where there is one
        edges         name → address for visitors, where there is an edge
        login         {user, gateway}: `ssh -J user@gateway user@address`
        late_values   name of a late value → its value
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
        require_hosts(self, plan)
        self.network = network or Network(self, "network", plan=plan)
        shared: dict[str, Any] = {
            "plan": plan,
            "network": self.network,
            "storage": Storage(self, "storage", plan=plan),
            "secrets": Secrets(self, "secrets", plan=plan, roles=roles, values=secret_values),
        }
        self.gateway = Gateway(self, "gateway", late=late, **shared) if Role.GATEWAY in roles else None
        shared["late"] = self._late = {**(late or {}), **(self.gateway.late_values if self.gateway else {})}
        self.masters = Masters(self, "masters", **shared) if Role.MASTER in roles else None
        self.consul = ConsulNode(self, "consul", **shared) if Role.CONSUL in roles else None
        self.pools = {
            pool.name: AgentPool(self, f"agents-{pool.name}", pool=pool.name, **shared) for pool in plan.pools
        }
        self.edge = Edge(self, "edge", **shared) if Role.EDGE in roles else None
        description = self._describe()
        self.described = as_json(description)
        Output(self, output, description, description=f"The cluster {plan.cluster}, site {plan.name}.")

    def _describe(self) -> dict[str, Any]:
        plan = self._plan
        groups = [part.machines for part in (self.gateway, self.masters, self.consul, self.edge) if part]
        late: dict[str, Expr] = dict(self._late)
        for machines in groups:
            late |= machines.late_values
        return {
            "cluster": plan.cluster,
            "site": plan.name,
            "platform": plan.platform,
            "network": str(plan.network),
            "hosts": hosts(plan),
            "nodes": {name: node for machines in groups for name, node in machines.outputs().items()},
            "pools": {name: pool.outputs() for name, pool in self.pools.items()},
            "endpoints": {f"edge_{name}": url for name, url in self.edge.endpoints.items()}
            if self.edge
            else {},
            **({"edges": self.edge.addresses} if self.edge else {}),
            **self._way_in(),
            "late_values": late,
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
