"""The edge: nginx machines."""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.components.model import Peer, Role
from constructs_lib.components.nginx import NGINX
from constructs_lib.errors import SpecError
from constructs_lib.libvirt.guests import Surroundings
from constructs_lib.libvirt.machines import Machines
from constructs_lib.libvirt.network import Network
from constructs_lib.libvirt.secrets import Secrets
from constructs_lib.libvirt.storage import Storage
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct


class Edge(Construct):
    """Where applications' visitors come in. Without `edge.public` only from inside the site.

    No load balancer stands before the machines: names in DNS point to all of their addresses.
    """

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        network: Network,
        storage: Storage | None = None,
        secrets: Secrets | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__(scope, id)
        if plan.edge_spec is None:
            raise SpecError(f"sites.{plan.name}.edge", None, "an edge, such as {count: 1}")
        self.ports = {port.name: port for port in NGINX.ports if Peer.PUBLIC in port.reached_by}
        around = Surroundings.of(self, plan, Role.EDGE, network, storage, secrets)
        self.machines = Machines(self, plan, Role.EDGE, plan.edge_spec, around)
        self.addresses: dict[str, str] = {node.name: str(node.address) for node in self.machines.nodes}
        """Node name → where visitors reach it."""
        self.machines.boot(late or {})

    @property
    def endpoints(self) -> dict[str, str]:
        """`http://<address of the first>` and the like, by nginx' name of the port."""
        first = next(iter(self.addresses.values()))
        return {port.name: f"{port.name}://{first}:{port.number}" for port in self.ports.values()}
