"""Nodes that keep data: what masters and Consul servers have in common."""

from __future__ import annotations

from typing import ClassVar

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.openstack.firewall import Firewall
from constructs_lib.openstack.machines import Machines, Surroundings
from constructs_lib.openstack.network import Network
from constructs_lib.openstack.secrets import Secrets
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.user_data import Late
from constructs_lib.terraform import Construct


class DataNodes(Construct):
    """Machines of one role with fixed addresses and own data volumes, never replaced by a plain deploy.

    `firewall`, `secrets` and `image` are made here unless given. `late` gives late values that other
    constructs make.
    """

    role: ClassVar[Role]

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        network: Network,
        firewall: Firewall | None = None,
        secrets: Secrets | None = None,
        image: str | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__(scope, id)
        spec = plan.masters_spec if self.role is Role.MASTER else plan.consul_spec
        around = Surroundings.of(self, plan, self.role, network, firewall, secrets, image)
        self.machines = Machines(self, plan, self.role, spec, around)
        self.machines.boot(late or {})
