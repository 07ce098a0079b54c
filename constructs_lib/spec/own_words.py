"""A platform's own words for a site, which stand under the platform's name."""

from __future__ import annotations

from pydantic import Field

from constructs_lib.spec import fields as f
from constructs_lib.spec.group import Group


class AwsSpec(Group):
    """AWS's own words for a site."""

    region: f.Region
    """Where the site stands, such as eu-west-3."""
    nat: f.NatMode = "one"
    """One NAT gateway (cheaper) or one per zone (a zone's failure cuts off no other)."""
    image: f.Ami | None = None
    """An AMI id; the default is the newest Ubuntu 24.04 of Canonical."""
    provider_version: f.VersionConstraint = "~> 6.0"
    """The AWS provider's version constraint."""
    endpoint: f.ApiUrl | None = None
    """Every AWS API at this URL instead of the region's own, for an API double on this machine."""
    kms_key_arn: f.KmsKeyArn | None = None
    """Customer-managed key for volumes, parameters, logs and the bucket; the default is AWS' own keys."""
    permissions_boundary_arn: f.PolicyArn | None = None
    """The policy that bounds every IAM role, where your account demands one."""
    rules_per_group: f.RulesPerGroup = 60
    """Your quota of inbound, or outbound, rules in one security group; each site and zone more takes some."""


class ImageSpec(Group):
    """The image that machines start from: `url` or `path`, held to its checksum."""

    url: f.ImageUrl | None = None
    """Where the machine that deploys downloads it from."""
    path: f.ImagePath | None = None
    """Where it lies on the machine that deploys."""
    sha256: f.Sha256
    """Its checksum; another one is another image, for machines that are made from then on."""


class OpenstackSpec(Group):
    """OpenStack's own words for a site. Who you are stands in clouds.yaml or OS_… variables, never here."""

    cloud: f.CloudName | None = None
    """The cloud's name in clouds.yaml; without it the OS_… variables of the environment count."""
    region: f.OpenstackRegion | None = None
    """The cloud's region, where it has several."""
    external_network: f.OpenstackNetwork
    """The network that floating addresses come from, by name or id."""
    image: f.OpenstackImage | None = None
    """An x86-64 image of Ubuntu 24.04 or Debian 12 with cloud-init, by name (the newest of it) or id."""
    upload: ImageSpec | None = None
    """Such an image as a qcow2 file that the cloud gets from here, instead of `image`."""
    availability_zones: tuple[f.OpenstackZone, ...] = ()
    """Nova's zones, one for each of the site's; with one zone nova may choose."""
    volume_zones: tuple[f.OpenstackZone, ...] = ()
    """Cinder's zones, one for each of the site's, where volumes must be in the machine's own."""
    volume_type: f.VolumeType | None = None
    """The type of data volumes; the default is the cloud's. A running volume keeps its own."""
    anti_affinity: f.Spread = "hard"
    """hard: no two masters on one host, or no machine at all; soft: where hosts allow it."""
    dns: tuple[f.HostAddress, ...] = ()
    """Resolvers of the site's network; the default is the cloud's own."""
    backup_container: f.Switch = False
    """True makes a container for backups in the cloud's object store, where it has one."""
    key_pair: f.KeyPair | None = None
    """A key pair that whoever deploys has, for the image's own user; administrators' keys need none."""
    public_key: f.PublicKey | None = None
    """The public key of a key pair that is made, instead of `key_pair`."""
    provider_version: f.VersionConstraint = "~> 3.4"
    """The OpenStack provider's version constraint."""


class NatSpec(Group):
    """A network of libvirt's own behind one host, which reaches out by the host's address."""

    dns: tuple[f.HostAddress, ...] = ()
    """Resolvers that the host's own asks; the default is what the host itself asks."""


class BridgeSpec(Group):
    """A bridge that every host has, with the site's network on it."""

    name: f.HostBridge
    """The bridge's name, the same on every host."""
    gateway: f.HostAddress | None = None
    """The router on that network; the default is its first address."""
    dns: tuple[f.HostAddress, ...] = ()
    """Resolvers; the default is the gateway."""


class HostCapacitySpec(Group):
    """What each host has for the site's machines: a site that needs more is refused."""

    cpus: f.HostCpus | None = None
    """vCPUs that each host gives; more than it has threads is your own decision."""
    memory_gib: f.HostMemory | None = None
    """Memory of each host in GiB, without what the host itself needs."""
    disk_gib: f.HostDisk | None = None
    """Room for disks on each host in GiB, as if each were full."""


class LibvirtSpec(Group):
    """libvirt's own words for a site: hosts with KVM, one for each of the site's zones."""

    hosts: tuple[f.HostUri, ...]
    """One host for each zone, in order, such as [qemu+ssh://root@kvm1.example.org/system]."""
    image: ImageSpec
    """An x86-64 qcow2 image of Ubuntu 24.04 or Debian 12 with cloud-init."""
    hypervisor: f.Hypervisor = "kvm"
    """kvm, or qemu where the host has no KVM: ten times slower, for tests."""
    pool: f.StoragePool | None = None
    """A storage pool that every host has; without it one is made."""
    pool_path: f.HostFolder | None = None
    """The folder of the pool that is made; the default is /var/lib/libvirt/images/<cluster>-<site>."""
    nat: NatSpec | None = None
    """A network of libvirt's own, which is the default with one host."""
    bridge: BridgeSpec | None = None
    """A bridge that exists, instead of `nat`; required with several hosts."""
    capacity: HostCapacitySpec = Field(default_factory=HostCapacitySpec)
    """What each host has for machines; Terraform's plan asks the hosts themselves as well."""
    provider_version: f.VersionConstraint = "~> 0.9.7"
    """The libvirt provider's version constraint."""
