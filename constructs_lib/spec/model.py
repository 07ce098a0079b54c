"""ClusterSpec: what a cluster.yaml says, typed and with every default filled in.

Sizes are GiB (2**30 bytes) and whole vCPUs. Names are lower-case DNS labels.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from constructs_lib.components.model import Role


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MastersSpec(_Settings):
    """Mesos masters, each with one ZooKeeper server; exactly one site, the home site, has them."""

    count: Literal[1, 3, 5] = 3
    cpus: int = 2
    memory_gib: int = 8
    disk_gib: int = 50
    """The data volume that outlives the machine."""
    instance_type: str | None = None
    """The platform's own size name instead of cpus and memory_gib."""
    existing: tuple[IPv4Address, ...] = ()
    """Masters that run already, outside this definition: agents join them and none are created."""


class ConsulSpec(_Settings):
    """Consul servers, which also hold the private registry."""

    count: Literal[1, 3] = 1
    cpus: int = 2
    memory_gib: int = 4
    disk_gib: int = 50
    instance_type: str | None = None
    existing: tuple[IPv4Address, ...] = ()


class PoolSpec(_Settings):
    """Agents of one shape: `count`, or `min` and `max` where something scales them."""

    count: int | None = None
    min: int | None = None
    max: int | None = None
    cpus: int = 4
    memory_gib: int = 16
    disk_gib: int = 100
    instance_type: str | None = None
    attributes: dict[str, str] = {}
    """Mesos attributes that applications can be constrained to."""
    labels: dict[str, str] = {}
    """Tags of the pool's machines."""
    spot: bool = False


class GatewaySpec(_Settings):
    """The SSH jump host (and later the end of the site link)."""

    cpus: int = 1
    memory_gib: int = 2
    instance_type: str | None = None


class EdgeSpec(_Settings):
    """Where applications' visitors come in; `public` demands `allow`."""

    count: int = 1
    cpus: int = 2
    memory_gib: int = 4
    instance_type: str | None = None
    public: bool = False
    allow: tuple[IPv4Network, ...] = ()


class ZoneRanges(_Settings):
    """Ranges of one zone, for networks that are cut already; each is halved and quartered by role."""

    public: IPv4Network
    control: IPv4Network
    agents: IPv4Network


class AwsSpec(_Settings):
    """AWS's own words for a site."""

    region: str
    nat: Literal["one", "per_zone"] = "one"
    image: str | None = None
    """An AMI id; the default is the newest Ubuntu 24.04 of Canonical."""
    provider_version: str = "~> 6.0"
    endpoint: str | None = None
    """Every AWS API at this URL instead of the region's own, for an API double on this machine."""
    kms_key_arn: str | None = None
    """Customer-managed key for volumes, parameters, logs and the bucket; the default is AWS' own keys."""
    permissions_boundary_arn: str | None = None


class SiteSpec(_Settings):
    """One platform in one place."""

    platform: Literal["aws"]
    aws: AwsSpec | None = None
    network: IPv4Network
    zones: int | tuple[str, ...] = 1
    """How many zones, or their letters in order."""
    ranges: dict[str, ZoneRanges] = {}
    masters: MastersSpec = MastersSpec()
    consul: ConsulSpec = ConsulSpec()
    agents: dict[str, PoolSpec] = {}
    gateway: GatewaySpec = GatewaySpec()
    edge: EdgeSpec | None = None
    mtu: int = 1500
    protect_data: bool = True
    """False lets `cdktf destroy` delete data volumes and backups."""


class AdminSpec(_Settings):
    """Who operates the cluster: from where they may come, and their SSH public keys."""

    networks: tuple[IPv4Network, ...] = ()
    ssh_keys: tuple[str, ...] = ()
    user: str = "ops"


class LocalState(_Settings):
    """Terraform state in .clustermesos/state/, mode 0700."""

    kind: Literal["local"] = "local"


class S3State(_Settings):
    """Terraform state in an S3 bucket; encryption can't be switched off."""

    kind: Literal["s3"]
    bucket: str
    region: str
    prefix: str = "clustermesos"
    encrypt: Literal[True] = True
    kms_key_id: str | None = None
    dynamodb_table: str | None = None
    use_lockfile: bool = False


class HttpState(_Settings):
    """Terraform state behind an HTTPS endpoint; `{stack}` in the addresses is the stack's name."""

    kind: Literal["http"]
    address: str
    lock_address: str | None = None
    unlock_address: str | None = None
    encrypted: Literal[True]
    """You say so: the server encrypts what it keeps (nobody can check it from here)."""


class GcsState(_Settings):
    """Terraform state in a Google Cloud Storage bucket, which always encrypts."""

    kind: Literal["gcs"]
    bucket: str
    prefix: str = "clustermesos"


class AzurermState(_Settings):
    """Terraform state in an Azure blob container, which always encrypts."""

    kind: Literal["azurerm"]
    resource_group_name: str
    storage_account_name: str
    container_name: str
    prefix: str = "clustermesos"


StateSpec = Annotated[LocalState | S3State | HttpState | GcsState | AzurermState, Field(discriminator="kind")]


class ComponentSoftware(_Settings):
    """One component's override: the same four settings for every component."""

    source: Literal["image", "apt"] | None = None
    version: str | None = None
    mirror: str | None = None
    """An apt line or an image registry prefix, instead of the global one."""
    sha256: str | None = None


class SoftwareSpec(_Settings):
    """Where software comes from: global mirrors, and overrides by component name."""

    image_prefix: str = ""
    apt_mirror: str | None = None
    proxy: str | None = None
    components: dict[str, ComponentSoftware] = {}
    """In the file these stand beside the global settings: `software: {zookeeper: {version: …}}`."""


class ClusterSpec(_Settings):
    """A whole cluster.yaml."""

    name: str
    sites: dict[str, SiteSpec]
    admin: AdminSpec = AdminSpec()
    state: StateSpec = LocalState()
    tags: dict[str, str] = {}
    software: SoftwareSpec = SoftwareSpec()
    cloud_config: dict[Role, dict[str, object]] = {}
    """Extra cloud-config per role, merged after ours: the one escape hatch."""
