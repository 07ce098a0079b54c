"""The gateway: the one machine that operators reach from outside."""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.libvirt.guests import Surroundings
from constructs_lib.libvirt.machines import Machines
from constructs_lib.libvirt.network import Network
from constructs_lib.libvirt.secrets import Secrets
from constructs_lib.libvirt.storage import Storage
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct, Expr, to_hcl


class Gateway(Construct):
    """SSH jump host. There are no public addresses here: it is reached by its own, on NAT from the host."""

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
        around = Surroundings.of(self, plan, Role.GATEWAY, network, storage, secrets)
        self.machines = Machines(self, plan, Role.GATEWAY, plan.gateway_spec, around)
        self._first = self.machines.nodes[0]
        self.late_values: dict[str, Expr] = {
            f"gateway_public_address:{plan.name}": Expr(to_hcl(self.public_address))
        }
        self.machines.boot({**self.late_values, **(late or {})})

    @property
    def public_address(self) -> str:
        """Where operators log in."""
        return str(self._first.address)
