"""ClusterSpec: what a cluster.yaml says, typed and with every default filled in.

Sizes are GiB (2**30 bytes) and whole vCPUs. Names are lower-case DNS labels. Each class and field carries its
description for the reference (docs/cluster-yaml.md) and the JSON Schema. Models are built when first used, so
that importing them is cheap. `ClusterSpec(...)` from Python raises pydantic's ValidationError;
`constructs_lib.spec.load.from_dict` takes the same settings as a dict and raises SpecFileError instead.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Self

from pydantic import Field, ValidationInfo, model_validator

from constructs_lib.components.model import Role
from constructs_lib.components.site_link import SITE_LINK
from constructs_lib.spec import checks
from constructs_lib.spec import fields as f
from constructs_lib.spec.group import Group
from constructs_lib.spec.own_words import (
    AwsSpec,
    BridgeSpec,
    HostCapacitySpec,
    ImageSpec,
    LibvirtSpec,
    NatSpec,
    OpenstackSpec,
)
from constructs_lib.spec.platforms import PLATFORMS, Platform
from constructs_lib.spec.state import (
    AzurermState,
    GcsState,
    HttpState,
    LocalState,
    S3State,
    StateSpec,
)
from constructs_lib.spec.terms import AppSecretSpec, BackupTargetSpec, PlatformBackupSpec, PolicySpec


class MastersSpec(Group):
    """Mesos masters, each with one ZooKeeper server; exactly one site, the home site, has them."""

    count: f.MastersCount = 3
    """How many; more than half of them must live, so 3 survive one failure and 5 survive two."""
    cpus: f.Cpus = 2
    """vCPUs of each master, at least."""
    memory_gib: f.MemoryGib = 8
    """Memory of each master in GiB, at least."""
    disk_gib: f.DiskGib = 50
    """The data volume in GiB; it outlives the machine."""
    instance_type: f.InstanceType | None = None
    """AWS: a type by its own name instead of cpus and memory_gib."""
    flavor: f.Flavor | None = None
    """OpenStack: a flavor by its own name instead of cpus and memory_gib."""
    existing: tuple[f.HostAddress, ...] = ()
    """Masters that run already, outside this definition: agents join them and none are created."""


class ConsulSpec(Group):
    """Consul servers, which also hold the private registry."""

    count: f.ConsulCount = 1
    """How many; 3 survive one failure."""
    cpus: f.Cpus = 2
    """vCPUs of each Consul node, at least."""
    memory_gib: f.MemoryGib = 4
    """Memory of each Consul node in GiB, at least."""
    disk_gib: f.DiskGib = 50
    """The data volume in GiB: Consul's state and the registry's images."""
    instance_type: f.InstanceType | None = None
    """AWS: a type by its own name instead of cpus and memory_gib."""
    flavor: f.Flavor | None = None
    """OpenStack: a flavor by its own name instead of cpus and memory_gib."""
    existing: tuple[f.HostAddress, ...] = ()
    """Consul servers that run already, outside this definition: none are created."""


class RegistrySpec(Group):
    """The private registry on the first Consul node."""

    cache: f.Switch = False
    """True also runs a cache of Docker Hub, which every Docker engine of the site asks first."""
    bucket: f.BucketName | None = None
    """Images lie in this S3 bucket, which exists, instead of on the data volume; at the home site alone."""
    region: f.Region | None = None
    """The bucket's region, where it is not the site's."""


class SharedSpec(Group):
    """A shared file system, mounted at /srv/shared before the agent starts."""

    source: f.MountSource
    """What is mounted, such as 10.20.0.5:/export."""
    type: f.SharedType = "nfs"
    """nfs or ceph."""
    options: f.MountOptions = ""
    """Mount options, such as vers=4.2,noatime."""


class PoolSpec(Group):
    """Agents of one shape: `count`, or `min` and `max` where something scales them."""

    count: f.AgentCount | None = None
    """How many agents; instead of min and max."""
    min: f.AgentCount | None = None
    """The fewest agents that a scaler may leave."""
    max: f.AgentCount | None = None
    """The most agents that a scaler may start; the network must have room for them."""
    cpus: f.Cpus = 4
    """vCPUs of each agent, at least."""
    memory_gib: f.MemoryGib = 16
    """Memory of each agent in GiB, at least."""
    disk_gib: f.DiskGib = 100
    """The disk in GiB for images, sandboxes and logs; it dies with the agent."""
    instance_type: f.InstanceType | None = None
    """AWS: a type by its own name instead of cpus and memory_gib."""
    flavor: f.Flavor | None = None
    """OpenStack: a flavor by its own name instead of cpus and memory_gib."""
    attributes: dict[f.AttributeName, f.AttributeValue] = {}
    """Mesos attributes that applications can be constrained to."""
    labels: dict[f.TagKey, f.TagValue] = {}
    """Tags of the pool's machines."""
    spot: f.Switch = False
    """Cheaper machines that the platform may take back at two minutes' notice."""
    shared: SharedSpec | None = None
    """A file system that the pool's agents share."""


class GatewaySpec(Group):
    """The SSH jump host, and the end of the links to other sites."""

    cpus: f.Cpus = 1
    """vCPUs, at least."""
    memory_gib: f.MemoryGib = 2
    """Memory in GiB, at least."""
    instance_type: f.InstanceType | None = None
    """AWS: a type by its own name instead of cpus and memory_gib."""
    flavor: f.Flavor | None = None
    """OpenStack: a flavor by its own name instead of cpus and memory_gib."""


class LinkSpec(Group):
    """The gateway's end of the links to the cluster's other sites, one WireGuard tunnel to each."""

    reachable: f.Switch | None = None
    """Whether other sites' gateways can call this one; the default is true where the platform gives it a
    public address, or `endpoint` is set.
    """
    endpoint: f.Host | None = None
    """The public name or address at which the gateway is called, where it is not the platform's own: that of
    a router that passes the port on.
    """
    port: f.LinkPort = SITE_LINK.port("wireguard").number
    """The port of `endpoint`, UDP; the default is the one that the gateway itself listens on."""
    mtu: f.LinkMtu | None = None
    """The largest packet in bytes inside the links; the default is 80 less than the smallest site's network
    takes, and 1420 at most.
    """


class EdgeSpec(Group):
    """Where applications' visitors come in; `public` demands `allow`."""

    count: f.EdgeCount = 1
    """How many edge nodes there are."""
    cpus: f.Cpus = 2
    """vCPUs of each edge node, at least."""
    memory_gib: f.MemoryGib = 4
    """Memory of each edge node in GiB, at least."""
    instance_type: f.InstanceType | None = None
    """AWS: a type by its own name instead of cpus and memory_gib."""
    flavor: f.Flavor | None = None
    """OpenStack: a flavor by its own name instead of cpus and memory_gib."""
    public: f.Switch = False
    """True gives the load balancer, or each edge node where there is none, a public address that the networks
    in `allow` may reach.
    """
    allow: tuple[f.Range, ...] = ()
    """Networks of the visitors; only here may 0.0.0.0/0 stand, and only because you write it."""
    load_balancer: f.Switch = False
    """OpenStack: true puts one balancer of Octavia before all edge nodes. AWS always has one."""


class ZoneRanges(Group):
    """Ranges of one zone, for networks that are cut already; public and control are quartered by role."""

    public: f.Range
    """Gateways, NAT and load balancers; /26 or larger."""
    control: f.Range
    """Masters, Consul nodes and edges; /26 or larger."""
    agents: f.Range
    """Agents; /28 or larger."""


class SiteSpec(Group):
    """One platform in one place."""

    platform: f.Platform
    """What runs the machines."""
    aws: AwsSpec | None = None
    """AWS's own words; the region is required."""
    openstack: OpenstackSpec | None = None
    """OpenStack's own words; the external network and the image are required."""
    libvirt: LibvirtSpec | None = None
    """libvirt's own words; the hosts and the image are required."""
    cloud: f.Cloud | None = None
    """private or public, which contracts ask for; the default is public for AWS, private for the others."""
    network: f.Range
    """The site's private range; every zone and role gets a fixed part of it."""
    zones: f.ZoneList = 1
    """How many zones, or their letters in order."""
    ranges: dict[str, ZoneRanges] = {}
    """By zone letter, for networks that are cut already; the default cuts `network` itself."""
    masters: MastersSpec = Field(default_factory=MastersSpec)
    """Mesos masters with ZooKeeper. Of several sites one alone says this: it is the home site."""
    consul: ConsulSpec = Field(default_factory=ConsulSpec)
    """Consul servers and the private registry."""
    registry: RegistrySpec = Field(default_factory=RegistrySpec)
    """Where the registry keeps its images, and whether it caches others."""
    agents: dict[f.PoolName, PoolSpec] = {}
    """Agent pools by name."""
    gateway: GatewaySpec = Field(default_factory=GatewaySpec)
    """The SSH jump host."""
    link: LinkSpec = Field(default_factory=LinkSpec)
    """How the gateway meets those of the cluster's other sites."""
    edge: EdgeSpec | None = None
    """Where applications' visitors come in; without it there is no edge."""
    mtu: f.Mtu | None = None
    """The largest packet in bytes on the site's network and in its containers (of Docker's default network,
    see docs/mesos.md); the default is 1500 on AWS and libvirt. On OpenStack the network keeps neutron's own,
    and containers take that.
    """
    protect_data: f.Switch = True
    """False lets `cdktf destroy` delete data volumes and backups."""

    @property
    def facts(self) -> Platform:
        """What the site's platform can."""
        return PLATFORMS[self.platform]

    @property
    def reachable(self) -> bool:
        """Whether other sites' gateways can call this site's."""
        if self.link.reachable is not None:
            return self.link.reachable
        return self.facts.public_gateway or self.link.endpoint is not None

    @property
    def region(self) -> str | None:
        """The platform's region, None where it has none or cluster.yaml does not say it."""
        own = self.aws or self.openstack
        return own.region if own else None

    @property
    def image_file(self) -> ImageSpec | None:
        """The image that is made of a file, None where machines start from one that is there."""
        if self.libvirt:
            return self.libvirt.image
        return self.openstack.upload if self.openstack else None

    @property
    def doorstep(self) -> IPv4Address | None:
        """The one address inside the site's network that people come from: of a host that hides it by NAT."""
        return self.network[1] if self.libvirt and not self.libvirt.bridge else None


class AdminSpec(Group):
    """Who operates the cluster: from where they may come, and their SSH public keys."""

    networks: tuple[f.Range, ...] = ()
    """Networks that may reach the gateway and the consoles; at least one."""
    ssh_keys: tuple[f.PublicKey, ...] = ()
    """Public keys (ed25519, ecdsa, sk or rsa of 3072 bits and more); at least one."""
    user: f.UserName = "ops"
    """The administrator's login name on every node."""


class ComponentSoftware(Group):
    """One component's override: the same settings for every component."""

    enabled: f.Switch = True
    """False leaves an optional component out, with its ports and secrets: chronos."""
    source: f.Source | None = None
    """image, apt, or preinstalled (the machine's image has it), where the component can run from it."""
    version: f.Version | None = None
    """The image's tag or the package's version, instead of the default. Where `source` is not said it is one
    of the default source.
    """
    mirror: f.Mirror | None = None
    """Images: a registry prefix, instead of the global one. Packages: the address of a mirror of the owner's
    repository, with the owner's key below it; `{distribution}` and `{codename}` are the node's. What
    comes from the distribution has none but `apt_mirror`.
    """
    fingerprint: f.Fingerprint | None = None
    """Packages: of the one key that may sign the owner's repository or `mirror`, instead of the known one."""
    sha256: f.Sha256 | None = None
    """The image's digest for `version`: nothing else is run."""


class NodesSpec(Group):
    """What every node has, whatever its role."""

    time_servers: tuple[f.Host, ...] = ()
    """NTP servers instead of the platform's and the public ones; three or more outvote one that lies."""
    logs: f.LogTarget | None = None
    """Where every node sends its log, such as tcp://logs.example.org:514; without it nothing is sent."""
    alertmanagers: tuple[f.Alertmanager, ...] = ()
    """Where Prometheus of each site sends alerts, such as http://alerts.example.org:9093, to all of them;
    without it alerts are seen in Prometheus alone.
    """
    preflight_warnings: tuple[f.PreflightCheck, ...] = ()
    """Checks before the first start that only warn, for machines that can't offer what they ask for."""
    image_gc_above: f.Percent = 80
    """Agents: over so many percent of the disk in use, images that no container uses are deleted."""
    image_gc_hours: f.Hours = 168
    """Agents: how old, since it was made, such an image has to be."""


class SoftwareSpec(Group):
    """Where software comes from: global mirrors, and overrides by component name."""

    image_prefix: f.ImagePrefix = ""
    """Put before every image's name, such as registry.example.org/mirror."""
    apt_mirror: f.HttpUrl | None = None
    """Instead of the distribution's own archive."""
    apt_security_mirror: f.HttpUrl | None = None
    """The archive of its security updates beside `apt_mirror`, such as http://mirror.example.org/debian-security:
    Debian's are in one of their own, Ubuntu's in the same, where nothing is said.
    """
    proxy: f.ProxyUrl | None = None
    """The HTTP proxy that nodes use to fetch software."""
    components: dict[f.Component, ComponentSoftware] = {}
    """In the file these stand beside the global settings: `software: {zookeeper: {version: "3.9.5"}}`."""


class ClusterSpec(Group):
    """A whole cluster.yaml."""

    name: f.ClusterName
    """The cluster's name; it starts every name that is made."""
    sites: dict[f.SiteName, SiteSpec]
    """Sites by name; several are joined by links between their gateways."""
    admin: AdminSpec = Field(default_factory=AdminSpec)
    """Who operates the cluster, and from where."""
    state: StateSpec = Field(default_factory=LocalState)
    """Where Terraform keeps its state."""
    tags: dict[f.TagKey, f.TagValue] = {}
    """Tags of everything that is made."""
    nodes: NodesSpec = Field(default_factory=NodesSpec)
    """Time, logs and the preflight of all nodes."""
    software: SoftwareSpec = Field(default_factory=SoftwareSpec)
    """Mirrors, a proxy, and other versions than the defaults."""
    policies: dict[f.PolicyName, PolicySpec] = {}
    """Named strategies that contracts are held to."""
    backups: dict[f.TargetName, BackupTargetSpec] = {}
    """Where backups of applications go, by name."""
    platform_backup: PlatformBackupSpec | None = None
    """Where the platform's own state is saved; without it, on the nodes' data volumes alone."""
    app_secrets: dict[f.SecretReference, AppSecretSpec] = {}
    """Secrets of applications by reference."""
    cloud_config: dict[Role, dict[str, object]] = {}
    """Extra cloud-config per role, merged after ours: the one escape hatch."""

    @property
    def home(self) -> str:
        """The site that holds the masters: the only one, or the one that says `masters`."""
        saying = (name for name, site in self.sites.items() if "masters" in site.model_fields_set)
        return next(saying, next(iter(self.sites)))

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Self:
        # load() checks what is left of a file with wrong values itself.
        if not (info.context or {}).get("checks_follow"):
            checks.demand(self)
        return self


__all__ = [
    "AdminSpec",
    "AppSecretSpec",
    "AwsSpec",
    "AzurermState",
    "BackupTargetSpec",
    "BridgeSpec",
    "ClusterSpec",
    "ComponentSoftware",
    "ConsulSpec",
    "EdgeSpec",
    "GatewaySpec",
    "GcsState",
    "HostCapacitySpec",
    "HttpState",
    "IPv4Address",
    "IPv4Network",
    "ImageSpec",
    "LibvirtSpec",
    "LinkSpec",
    "LocalState",
    "MastersSpec",
    "NatSpec",
    "OpenstackSpec",
    "PlatformBackupSpec",
    "PolicySpec",
    "PoolSpec",
    "RegistrySpec",
    "S3State",
    "SiteSpec",
    "SoftwareSpec",
    "StateSpec",
    "ZoneRanges",
]
