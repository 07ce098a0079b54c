"""The site's network: one VPC over one to three zones, cut as the plan says.

    zone a ─┬─ public    the gateway's range; route to the internet gateway
            ├─ frontend  where AWS itself chooses addresses: NAT and load balancers
            ├─ control   masters, Consul nodes, edges ─┐
            └─ agents    Auto Scaling groups          ─┴─ route to a NAT gateway; S3 by a gateway endpoint

`frontend` is a subnet of its own so that neither a NAT gateway nor a load balancer can take a planned
address, and so that the range that health checks come from is known to the nodes' firewalls before anything
exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network

from constructs import Construct as Scope

from constructs_lib.aws.elastic_ip import elastic_ips
from constructs_lib.aws.flow_logs import add_flow_logs
from constructs_lib.aws.settings import availability_zone, aws_of
from constructs_lib.aws.tags import tags
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan, ZonePlan
from constructs_lib.terraform import Construct, Expr, Resource, TerraformElement, TerraformStack

EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Subnet:
    """A subnet by its id (or an expression for it) and its range."""

    id: str
    range: IPv4Network


@dataclass(frozen=True, kw_only=True)
class ZoneSubnets:
    """The subnets of one zone. An existing network without an edge may do without `frontend`."""

    public: Subnet
    control: Subnet
    agents: Subnet
    frontend: Subnet | None = None


class Network(Construct):
    """A new VPC for the site; `Network.existing` stands for one that is there already.

    `vpc_id` and `subnets` (by the zone's letter) are what the other constructs need. Machines depend on
    `public_road` or `private_road`, since one that boots before its route exists cannot install anything.
    """

    vpc_id: str
    subnets: Mapping[str, ZoneSubnets]
    public_road: tuple[TerraformElement, ...]
    private_road: tuple[TerraformElement, ...]
    route_tables: Mapping[str, str]
    """Zone → the route table of its nodes, as an expression: routes to other sites are put there."""
    public_addresses: bool | None
    """What machines ask for: no ordinary public address (False), or what the subnets say: none (None)."""

    def __init__(self, scope: Scope, id: str, *, plan: SitePlan) -> None:
        super().__init__(scope, id)
        self.public_addresses = None
        vpc = Resource(
            self,
            "vpc",
            "aws_vpc",
            cidr_block=str(plan.network),
            enable_dns_support=True,
            enable_dns_hostnames=True,
            tags=tags(plan, "vpc"),
        )
        self.vpc_id = vpc.ref("id")
        made = {
            kind: _subnets(self, plan, self.vpc_id, kind)
            for kind in ("public", "frontend", "control", "agents")
        }
        self.subnets = {
            zone.name: ZoneSubnets(
                **{kind: Subnet(made[kind].each(zone.name, "id"), _range(zone, kind)) for kind in made}
            )
            for zone in plan.zones
        }
        internet = Resource(
            self, "internet", "aws_internet_gateway", vpc_id=self.vpc_id, tags=tags(plan, "internet")
        )
        self.public_road = self._public_routes(plan, made, internet)
        self.private_road = self._private_routes(plan, made, internet)
        # No rules at all: whatever is started without a group of its own can neither reach nor be reached.
        Resource(
            self,
            "default",
            "aws_default_security_group",
            vpc_id=self.vpc_id,
            tags=tags(plan, "default-closed"),
        )
        add_flow_logs(self, plan, self.vpc_id)

    @staticmethod
    def existing(
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        vpc_id: str,
        subnets: Mapping[str, ZoneSubnets],
        route_tables: Mapping[str, str] | None = None,
    ) -> Network:
        """A network that something else made: ids *and* ranges are given, nothing is looked up.

        `subnets` has one entry per zone of the plan; `route_tables`, zone → id of the table of its control
        and agents subnets, is needed where the cluster has other sites and gets the routes to them. SpecError
        when a zone is missing or a planned range does not lie inside the subnet that is to hold it;
        `sites.<name>.ranges` in cluster.yaml is where plans are fitted to subnets.
        """
        return _ExistingNetwork(
            scope, id, plan=plan, vpc_id=vpc_id, subnets=subnets, route_tables=route_tables or {}
        )

    def _public_routes(
        self, plan: SitePlan, made: Mapping[str, Resource], internet: Resource
    ) -> tuple[TerraformElement, ...]:
        table = Resource(
            self, "public-routes", "aws_route_table", vpc_id=self.vpc_id, tags=tags(plan, "public")
        )
        route = Resource(
            self,
            "public-default",
            "aws_route",
            route_table_id=table.ref("id"),
            destination_cidr_block=EVERYWHERE,
            gateway_id=internet.ref("id"),
        )
        members = Resource(
            self,
            "public-members",
            "aws_route_table_association",
            for_each=_members(made, plan, ("public", "frontend")),
            subnet_id="${each.value}",
            route_table_id=table.ref("id"),
        )
        return (route, members)

    def _private_routes(
        self, plan: SitePlan, made: Mapping[str, Resource], internet: Resource
    ) -> tuple[TerraformElement, ...]:
        nat = self._nat(plan, made["frontend"], internet)
        table = Resource(
            self,
            "private-routes",
            "aws_route_table",
            for_each={zone.name: zone.name for zone in plan.zones},
            vpc_id=self.vpc_id,
            tags=tags(plan, "private-${each.key}"),
        )
        route = Resource(
            self,
            "private-default",
            "aws_route",
            for_each={zone.name: nat.each(_nat_zone(plan, zone), "id") for zone in plan.zones},
            route_table_id=Expr(f"{table.address}[each.key].id"),
            destination_cidr_block=EVERYWHERE,
            nat_gateway_id="${each.value}",
        )
        members = Resource(
            self,
            "private-members",
            "aws_route_table_association",
            for_each={
                f"{kind}-{zone.name}": {"subnet": made[kind].each(zone.name, "id"), "zone": zone.name}
                for kind in ("control", "agents")
                for zone in plan.zones
            },
            subnet_id="${each.value.subnet}",
            route_table_id=Expr(f"{table.address}[each.value.zone].id"),
        )
        self.route_tables = {zone.name: table.each(zone.name, "id") for zone in plan.zones}
        # Free, and backups and packages from S3 then don't pass (and pay) the NAT gateway.
        Resource(
            self,
            "s3",
            "aws_vpc_endpoint",
            vpc_id=self.vpc_id,
            service_name=f"com.amazonaws.{aws_of(plan).region}.s3",
            vpc_endpoint_type="Gateway",
            route_table_ids=list(self.route_tables.values()),
            tags=tags(plan, "s3"),
        )
        return (route, members)

    def _nat(self, plan: SitePlan, frontend: Resource, internet: Resource) -> Resource:
        zones = {_nat_zone(plan, zone): "" for zone in plan.zones}
        address = elastic_ips(self, "nat-address", plan, zones, name="nat-${each.key}", depends_on=[internet])
        return Resource(
            self,
            "nat",
            "aws_nat_gateway",
            # Keys only, as the addresses have: checkov then sees each gateway beside its address.
            for_each=zones,
            allocation_id=Expr(f"{address.address}[each.key].id"),
            subnet_id=Expr(f"{frontend.address}[each.key].id"),
            depends_on=[internet],
            tags=tags(plan, "nat-${each.key}"),
        )


class _ExistingNetwork(Network):
    """Holds the ids; makes no resource."""

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        vpc_id: str,
        subnets: Mapping[str, ZoneSubnets],
        route_tables: Mapping[str, str],
    ) -> None:
        Construct.__init__(self, scope, id)
        TerraformStack.of(self)  # fails here and not later where `scope` is in no stack
        for zone in plan.zones:
            _check_zone(plan, zone, subnets)
        self.vpc_id = vpc_id
        self.subnets = dict(subnets)
        missing = [zone.name for zone in plan.zones if zone.name not in route_tables]
        if plan.link and missing:
            raise SpecError(
                f"Network.existing(…, route_tables=…) of site {plan.name}",
                sorted(route_tables),
                f"those of the zones {', '.join(missing)} too: they get the routes to the other sites of "
                "cluster.yaml",
            )
        # Two zones may share one, and a table takes each route once.
        self.route_tables = {table: table for table in route_tables.values()} if plan.link else {}
        self.public_road = ()
        self.private_road = ()
        self.public_addresses = False


def _range(zone: ZonePlan, kind: str) -> IPv4Network:
    return {
        "public": zone.roles[Role.GATEWAY],
        "frontend": zone.frontend,
        "control": zone.control,
        "agents": zone.agents,
    }[kind]


def _subnets(scope: Scope, plan: SitePlan, vpc_id: str, kind: str) -> Resource:
    return Resource(
        scope,
        kind,
        "aws_subnet",
        for_each={
            zone.name: {"range": str(_range(zone, kind)), "zone": availability_zone(plan, zone)}
            for zone in plan.zones
        },
        vpc_id=vpc_id,
        cidr_block="${each.value.range}",
        availability_zone="${each.value.zone}",
        map_public_ip_on_launch=False,
        tags=tags(plan, f"{kind}-${{each.key}}"),
    )


def _members(made: Mapping[str, Resource], plan: SitePlan, kinds: tuple[str, ...]) -> dict[str, str]:
    return {f"{kind}-{zone.name}": made[kind].each(zone.name, "id") for kind in kinds for zone in plan.zones}


def _nat_zone(plan: SitePlan, zone: ZonePlan) -> str:
    """The zone whose NAT gateway serves `zone`: its own, or the first one's."""
    return zone.name if aws_of(plan).nat == "per_zone" else plan.zones[0].name


def _check_zone(plan: SitePlan, zone: ZonePlan, subnets: Mapping[str, ZoneSubnets]) -> None:
    path = f"sites.{plan.name}.subnets.{zone.name}"
    given = subnets.get(zone.name)
    if given is None:
        raise SpecError(path, sorted(subnets), f"subnets for zone {zone.name!r} too, since the plan has it")
    needed = {
        Role.GATEWAY: given.public,
        Role.MASTER: given.control,
        Role.CONSUL: given.control,
        Role.EDGE: given.control,
        Role.AGENT: given.agents,
    }
    for role, subnet in needed.items():
        if not zone.roles[role].subnet_of(subnet.range):
            raise SpecError(
                path,
                f"{subnet.id} with {subnet.range}",
                f"one that holds the {role} range {zone.roles[role]}; fit sites.{plan.name}.ranges to it",
            )
    if given.frontend and not given.frontend.range.subnet_of(zone.frontend):
        raise SpecError(
            path,
            f"frontend {given.frontend.id} with {given.frontend.range}",
            f"a subnet inside {zone.frontend}: nodes answer a load balancer's health checks from there only",
        )
