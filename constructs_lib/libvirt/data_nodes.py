"""Nodes that keep data: what masters and Consul servers have in common."""

from __future__ import annotations

from typing import ClassVar

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.libvirt.guests import Surroundings
from constructs_lib.libvirt.machines import Machines
from constructs_lib.libvirt.network import Network
from constructs_lib.libvirt.secrets import Secrets
from constructs_lib.libvirt.storage import Storage
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct


class DataNodes(Construct):
    """Machines of one role with fixed addresses and own data volumes, never replaced by a plain deploy.

    `storage` and `secrets` are made here unless given. `late` gives late values that other constructs make.
    """

    role: ClassVar[Role]

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
        spec = plan.masters_spec if self.role is Role.MASTER else plan.consul_spec
        around = Surroundings.of(self, plan, self.role, network, storage, secrets)
        self.machines = Machines(self, plan, self.role, spec, around)
        self.machines.boot(late or {})
