"""The masters of a site."""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.aws.firewall import Firewall
from constructs_lib.aws.iam import NodeAccess
from constructs_lib.aws.machines import Machines, Surroundings
from constructs_lib.aws.network import Network
from constructs_lib.aws.user_data import Late
from constructs_lib.components.model import Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Construct


class Masters(Construct):
    """Mesos masters with their ZooKeeper servers: fixed addresses, own data volumes, never replaced by a
    plain deploy.

    `firewall`, `access` and `image` are made here unless given. `late` gives late values that other
    constructs make.
    """

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        network: Network,
        firewall: Firewall | None = None,
        access: NodeAccess | None = None,
        image: str | None = None,
        late: Late | None = None,
    ) -> None:
        super().__init__(scope, id)
        around = Surroundings.of(self, plan, Role.MASTER, network, firewall, access, image)
        self.machines = Machines(self, plan, Role.MASTER, plan.masters_spec, around, late or {})
