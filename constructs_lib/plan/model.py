"""ClusterPlan: every name, address, id, port rule and late value, decided before anything is rendered.

Plain immutable data. A platform only translates it; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from constructs_lib.components.model import Component, Peer, Protocol, ResolvedSoftware, Role, Secret
from constructs_lib.errors import SpecError
from constructs_lib.plan.lock import Lock
from constructs_lib.spec.model import (
    AdminSpec,
    AppSecretSpec,
    AwsSpec,
    BackupTargetSpec,
    ConsulSpec,
    EdgeSpec,
    GatewaySpec,
    LibvirtSpec,
    MastersSpec,
    NodesSpec,
    OpenstackSpec,
    PolicySpec,
    PoolSpec,
    RegistrySpec,
    StateSpec,
)
from constructs_lib.spec.platforms import PLATFORMS, Platform


@dataclass(frozen=True, kw_only=True)
class ZonePlan:
    """One zone of a site: `name` is its letter, `index` its place in the cut (0 to 2), never moved."""

    name: str
    index: int
    public: IPv4Network
    """Gateways and the platform's own front: NAT and load balancers."""
    control: IPv4Network
    """Masters, Consul nodes and edges."""
    agents: IPv4Network
    roles: Mapping[Role, IPv4Network]
    """The range of each role, inside one of the three above."""
    frontend: IPv4Network
    """The second quarter of `public`, where load balancers probe from."""


ADDRESS_LENGTH = len("255.255.255.255")
LateKind = Literal["gateway_public_address", "data_volume_id", "network_mtu"]


@dataclass(frozen=True, kw_only=True)
class LateValue:
    """A value known only after deploy: `kind:subject`, at most `max_length` characters long."""

    kind: LateKind
    subject: str
    max_length: int

    @property
    def name(self) -> str:
        """`data_volume_id:master-1`, as it stands in outputs and in the marker."""
        return f"{self.kind}:{self.subject}"

    @property
    def marker(self) -> str:
        """The text that stands for the value in node files until a resolver replaces it."""
        return f"@@late:{self.name}@@"


@dataclass(frozen=True, kw_only=True)
class NodePlan:
    """A node with a planned address. Agents have none: see `PoolPlan`."""

    name: str
    """Unique in the site: master-1, consul-1, gateway-1, edge-1."""
    role: Role
    number: int
    """Counts from 1; ZooKeeper's server id of a master."""
    zone: ZonePlan
    address: IPv4Address
    data_volume: LateValue | None
    """The volume that outlives the machine, where the role has one."""


@dataclass(frozen=True, kw_only=True)
class PoolPlan:
    """Agents of one shape; they share one text and learn their own name and address at boot."""

    name: str
    slot: int
    """Never reused while the pool is named in the lock."""
    spec: PoolSpec
    min: int
    max: int
    ranges: Mapping[str, IPv4Network]
    """Zone → where its agents are, in the order in which they are spread; empty where the platform itself
    chooses their addresses.
    """

    @property
    def elastic(self) -> bool:
        """Whether its number is not fixed."""
        return self.min != self.max


@dataclass(frozen=True, kw_only=True)
class TrafficRule:
    """One line of the traffic table: `sources` may reach `port` of every node with role `to`."""

    name: str
    """Unique among the rules of `to`, stable, fit for a map key: zookeeper-client-from-agent."""
    to: Role
    component: str
    port_name: str
    port: int
    protocol: Protocol
    source: Role | Peer
    networks: tuple[IPv4Network, ...]
    """The source's ranges, those of other sites included."""
    why: str
    last: int
    """The last port of a range; `port` itself where it is one."""

    @property
    def range(self) -> str:
        """`22`, or `31000-32000`."""
        return str(self.port) if self.last == self.port else f"{self.port}-{self.last}"


@dataclass(frozen=True, kw_only=True)
class Passage:
    """What a gateway lets through between two sites: `rule`, from `source_site` to nodes of `to_site`."""

    rule: TrafficRule
    source: Role
    source_site: str
    to_site: str
    sources: tuple[IPv4Network, ...]
    """The ranges of the role `source` there."""
    destinations: tuple[IPv4Network, ...]
    """The ranges of the role `rule.to` there."""


@dataclass(frozen=True, kw_only=True)
class LinkedSite:
    """Another site of the cluster; packets to it go through the tunnel to the site `via`."""

    name: str
    network: IPv4Network
    consul: tuple[IPv4Address, ...]
    """Its Consul servers."""
    via: str


@dataclass(frozen=True, kw_only=True)
class LinkPeer:
    """The other end of a tunnel: the gateway of `site`."""

    site: str
    networks: tuple[IPv4Network, ...]
    """What lies behind it."""
    address: str | LateValue | None
    """Where this gateway calls it; None where it is the one that calls."""
    port: int

    @property
    def endpoint(self) -> str | None:
        """`vpn.example.org:443`, a late value as its marker; None where it is the one that calls."""
        if self.address is None:
            return None
        host = self.address.marker if isinstance(self.address, LateValue) else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class SiteLink:
    """How a site is joined to the cluster's others."""

    mtu: int
    """The largest packet in bytes inside every tunnel."""
    sites: tuple[LinkedSite, ...]
    """All others."""
    peers: tuple[LinkPeer, ...]
    """Those that this gateway has a tunnel to."""
    called: bool
    """Whether another gateway calls this one."""
    passages: tuple[Passage, ...] = ()
    """What this gateway lets through."""


@dataclass(frozen=True, kw_only=True)
class EgressRule:
    """What nodes may reach outside the site: those of `roles`, `port` up to `last`."""

    name: str
    port: int
    protocol: Protocol
    networks: tuple[IPv4Network, ...]
    why: str
    roles: tuple[Role, ...] = tuple(Role)
    range_end: int | None = None
    """The last port of a range that begins with `port`; None where it is one."""

    @property
    def last(self) -> int:
        """The last port of a range; `port` itself where it is one."""
        return self.range_end or self.port


@dataclass(frozen=True, kw_only=True)
class PlannedSecret:
    """A secret by its name in the store, in the lock and as a Terraform variable."""

    name: str
    """`zookeeper_super_password`, or with the site's name at its end where each site has its own."""
    declared: Secret
    site: str | None
    dns_names: tuple[str, ...] = ()
    """Whom a certificate is for, with the site's name in place."""
    pools: tuple[str, ...] | None = None
    """The pools whose agents read it; None where all nodes of its roles do."""
    also: tuple[Secret, ...] = ()
    """The same secret as further components declare it, for their own nodes and files."""

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles of all nodes that read it."""
        return tuple(dict.fromkeys(role for each in (self.declared, *self.also) for role in each.roles))

    def read_by(self, role: Role) -> tuple[Secret, ...]:
        """The declarations that hold on nodes of `role`: one file each."""
        return tuple(each for each in (self.declared, *self.also) if role in each.roles)


@dataclass(frozen=True, kw_only=True)
class PlatformBackup:
    """Where the platform's own state goes."""

    repository: str
    """The target's address; below it every node has a repository of its own."""
    secrets: tuple[str, ...]
    """restic's variables, each the name of a file on the nodes."""
    keep_daily: int
    keep_weekly: int


@dataclass(frozen=True, kw_only=True)
class BackupRight:
    """What nodes of `roles` may do by their own role instead of keys: back up below `folder` of a bucket."""

    bucket: str
    folder: str
    roles: tuple[Role, ...]
    without: str | None
    """A folder in it that is none of theirs."""


@dataclass(frozen=True, kw_only=True)
class SitePlan:
    """Everything that the constructs of one site need."""

    cluster: str
    name: str
    home: str
    """The site that holds the masters."""
    platform: Literal["aws", "openstack", "libvirt"]
    cloud: Literal["private", "public"]
    """Whose machines they are, as contracts ask for it."""
    aws: AwsSpec | None
    openstack: OpenstackSpec | None
    libvirt: LibvirtSpec | None
    images: Mapping[str, str]
    """Checksum → source of every image that disks may still stand on, where they do; the site's own among
    them.
    """
    network: IPv4Network
    mtu: int
    """Of the largest packet in bytes that links may count on, and everyone where there is no `late_mtu`."""
    mtu_given: bool
    """Whether cluster.yaml says it; else a platform with networks of its own keeps theirs, if not smaller."""
    late_mtu: LateValue | None
    """The network's own number, where containers take that; None where `mtu` or the links say theirs."""
    protect_data: bool
    zones: tuple[ZonePlan, ...]
    nodes: tuple[NodePlan, ...]
    """Ordered: gateway, masters, Consul nodes, edges."""
    pools: tuple[PoolPlan, ...]
    masters: tuple[IPv4Address, ...]
    """Addresses of the masters that agents join, planned or existing, at the home site, ordered by ZooKeeper
    id.
    """
    consul: tuple[IPv4Address, ...]
    quorum: int
    """len(masters) // 2 + 1."""
    traffic: tuple[TrafficRule, ...]
    egress: tuple[EgressRule, ...]
    link: SiteLink | None
    """None where the site is alone."""
    secrets: tuple[PlannedSecret, ...]
    """Those that its nodes read."""
    late_values: tuple[LateValue, ...]
    software: Mapping[str, ResolvedSoftware]
    software_mirrors: SoftwareMirrors
    nodes_spec: NodesSpec
    admin: AdminSpec
    tags: Mapping[str, str]
    cloud_config: Mapping[Role, Mapping[str, object]]
    masters_spec: MastersSpec
    consul_spec: ConsulSpec
    registry: RegistrySpec
    gateway_spec: GatewaySpec
    edge_spec: EdgeSpec | None
    platform_backup: PlatformBackup | None
    """None where the platform's own state stays on its nodes."""
    backup_rights: tuple[BackupRight, ...]
    """What nodes need of backup targets that have no credentials."""

    @property
    def facts(self) -> Platform:
        """What the site's platform can."""
        return PLATFORMS[self.platform]

    @property
    def roles(self) -> tuple[Role, ...]:
        """The roles that the site has machines for, in the order of `Role`."""
        present = {node.role for node in self.nodes} | ({Role.AGENT} if self.pools else set())
        return tuple(role for role in Role if role in present)

    @property
    def container_mtu(self) -> int | str:
        """The largest packet in bytes that containers send, so that it passes the links too; a late value
        as its marker.
        """
        if self.late_mtu:
            return self.late_mtu.marker
        return min(self.mtu, self.link.mtu) if self.link else self.mtu

    def nodes_of(self, role: Role) -> tuple[NodePlan, ...]:
        """Nodes of one role in number order; empty for agents."""
        return tuple(node for node in self.nodes if node.role is role)

    def node(self, name: str) -> NodePlan:
        """The planned node called `name`; SpecError with the names there are otherwise."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise SpecError("node", name, f"one of {[node.name for node in self.nodes]}")

    def pool(self, name: str) -> PoolPlan:
        """The pool called `name`; SpecError with the names there are otherwise."""
        for pool in self.pools:
            if pool.name == name:
                return pool
        raise SpecError("pool", name, f"one of {[pool.name for pool in self.pools]}")

    def traffic_to(self, role: Role) -> tuple[TrafficRule, ...]:
        """The rules for nodes of `role`, in the table's order."""
        return tuple(rule for rule in self.traffic if rule.to is role)

    def has(self, component: Component) -> bool:
        """False for an optional component that cluster.yaml leaves out."""
        if (component.linked and self.link is None) or (component.saves and self.platform_backup is None):
            return False
        software = self.software.get(component.name)
        return software is None or software.enabled

    def secrets_of(self, role: Role, pool: str | None = None) -> tuple[PlannedSecret, ...]:
        """The secrets that nodes of `role` read, or agents of `pool`, and no others."""
        return tuple(
            secret
            for secret in self.secrets
            if role in secret.roles and (pool is None or secret.pools is None or pool in secret.pools)
        )


@dataclass(frozen=True, kw_only=True)
class SoftwareMirrors:
    """Global rewrites from `software:` of cluster.yaml."""

    image_prefix: str
    apt_mirror: str | None
    apt_security_mirror: str | None
    proxy: str | None


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What cluster.yaml says to contracts."""

    policies: Mapping[str, PolicySpec]
    backups: Mapping[str, BackupTargetSpec]
    app_secrets: Mapping[str, AppSecretSpec]
    """By reference."""


@dataclass(frozen=True, kw_only=True)
class ClusterPlan:
    """The whole cluster; `sites` keeps the order of cluster.yaml."""

    name: str
    sites: Mapping[str, SitePlan]
    order: tuple[str, ...]
    """The sites as they are deployed: each calls gateways of those before it."""
    state: StateSpec
    secrets: tuple[PlannedSecret, ...]
    """Those of all sites, and the authorities that sign them."""
    terms: Terms
    """What contracts are held to."""
    lock: Lock
    """The lock that this plan stands on, completed: write it where it differs from the file."""

    def site(self, name: str) -> SitePlan:
        """The site called `name`; SpecError with the names there are otherwise."""
        try:
            return self.sites[name]
        except KeyError:
            raise SpecError("site", name, f"one of {list(self.sites)}") from None
