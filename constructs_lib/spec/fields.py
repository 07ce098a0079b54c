"""The types of the model's fields: each a plain Python type with its rule."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Literal

from constructs_lib.components import COMPONENTS
from constructs_lib.spec.field_rules import Address, ComponentName, Name, Network, Url, Zones
from constructs_lib.spec.hypervisor_uri import HypervisorUri
from constructs_lib.spec.rules import Flag, OneOf, Text, Whole, refuse
from constructs_lib.spec.ssh_keys import SshKey

LONGEST_CLUSTER, LONGEST_SITE, LONGEST_POOL = 20, 12, 20
LONGEST_TOGETHER = 24
"""Cluster and site name: `<cluster>-<site>-edge` has to fit into a load balancer's 32 characters."""


_NODE_NAMES = ("masters?|consul|gateway|edge", "nodes of that role have it")
_AWS_PREFIX = ("(aws|ssm).*", "AWS keeps names that start with aws or ssm for itself")

ClusterName = Annotated[
    str,
    Name(
        "cluster",
        LONGEST_CLUSTER,
        (_AWS_PREFIX, ("(internal-|xn--|sthree-|amzn-).*|internal", "AWS keeps this prefix for itself")),
    ),
]
SiteName = Annotated[str, Name("site", LONGEST_SITE, (("platform", "the last stack is called that"),))]
PoolName = Annotated[str, Name("pool", LONGEST_POOL, (_NODE_NAMES,))]

Range = Annotated[IPv4Network, Network()]
HostAddress = Annotated[IPv4Address, Address()]
ZoneList = Annotated[int | tuple[str, ...], Zones()]
Switch = Annotated[bool, Flag()]
PublicKey = Annotated[str, SshKey()]
Component = Annotated[str, ComponentName()]

_QUORUM = "more than half must agree, so an even number survives no more failures than one fewer"
MastersCount = Annotated[Literal[1, 3, 5], OneOf((1, 3, 5), even=_QUORUM)]
ConsulCount = Annotated[Literal[1, 3], OneOf((1, 3), even=_QUORUM)]
Platform = Annotated[
    Literal["aws", "openstack", "libvirt"],
    OneOf(
        ("aws", "openstack", "libvirt"),
        reasons=(
            ("AWS", "lower case"),
            ("OpenStack", "lower case"),
            ("kvm", "KVM hosts are reached by libvirt"),
        ),
    ),
]
NatMode = Annotated[Literal["one", "per_zone"], OneOf(("one", "per_zone"))]
Source = Annotated[Literal["image", "apt", "preinstalled"], OneOf(("image", "apt", "preinstalled"))]

Cpus = Annotated[int, Whole(1, 192, "vCPUs")]
MemoryGib = Annotated[int, Whole(1, 1536, "GiB")]
DiskGib = Annotated[int, Whole(8, 16384, "GiB")]
AgentCount = Annotated[int, Whole(0, 10_000, "agents")]
EdgeCount = Annotated[int, Whole(1, 10, "edge nodes")]
Percent = Annotated[int, Whole(1, 99, "percent")]
Hours = Annotated[int, Whole(1, 8784, "hours")]
Mtu = Annotated[int, Whole(576, 9001, "bytes")]
LinkMtu = Annotated[int, Whole(576, 1420, "bytes")]
LinkPort = Annotated[int, Whole(1, 65535, "")]

InstanceType = Annotated[
    str,
    Text(
        r"[a-z][a-z0-9-]{0,20}\.(nano|micro|small|medium|large|\d{0,3}xlarge|metal(-\d{1,3}xl)?)",
        "an instance type such as m7i.xlarge",
        40,
    ),
]
Region = Annotated[str, Text(r"[a-z]{2}(-[a-z]{3,12}){1,2}-\d{1,2}", "a region such as eu-west-3", 25)]
Ami = Annotated[str, Text(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", "an image id such as ami-0123456789abcdef0", 30)]
# OpenStack lets names be anything; these are the ones that need no quoting on the way.
_OPENSTACK_NAME = r"[A-Za-z0-9][A-Za-z0-9 ._:+()/@#-]*"
Flavor = Annotated[str, Text(_OPENSTACK_NAME, "a flavor's name such as m1.medium", 255)]
OpenstackImage = Annotated[str, Text(_OPENSTACK_NAME, "an image's name or id such as ubuntu-24.04", 255)]
OpenstackNetwork = Annotated[str, Text(_OPENSTACK_NAME, "a network's name or id such as public", 255)]
OpenstackZone = Annotated[str, Text(_OPENSTACK_NAME, "an availability zone's name such as nova", 255)]
OpenstackRegion = Annotated[str, Text(_OPENSTACK_NAME, "a region such as RegionOne", 255)]
VolumeType = Annotated[str, Text(_OPENSTACK_NAME, "a volume type's name such as ssd", 255)]
_KEY_PAIR = "a key pair's name (a key itself stands in `public_key`)"


def _no_public_key(name: str) -> None:
    """Most would pass for a name, which nova then does not know."""
    if re.match(r"(ssh|ecdsa|sk)-\S+ +AAAA", name):
        raise refuse(_KEY_PAIR, "a public key")


KeyPair = Annotated[str, Text(_OPENSTACK_NAME, _KEY_PAIR, 255, also=_no_public_key)]
CloudName = Annotated[
    str, Text(r"[A-Za-z0-9][A-Za-z0-9._-]*", "the name of a cloud in clouds.yaml such as dc1", 100)
]
Spread = Annotated[Literal["hard", "soft"], OneOf(("hard", "soft"))]
HostUri = Annotated[str, HypervisorUri()]
Hypervisor = Annotated[Literal["kvm", "qemu"], OneOf(("kvm", "qemu"))]
ImageUrl = Annotated[str, Url(example="https://cloud-images.ubuntu.com/…/noble-server-cloudimg-amd64.img")]
ImagePath = Annotated[
    str,
    Text(
        r"/[A-Za-z0-9_.+-]+(/[A-Za-z0-9_.+-]+)*",
        "an absolute path such as /srv/images/noble.qcow2, on the machine that deploys",
        500,
    ),
]
StoragePool = Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a storage pool's name such as default", 60)]
HostFolder = Annotated[
    str,
    Text(r"/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+", "a folder of the host such as /srv/clustermesos/demo", 200),
]
# The kernel's limit of 15 characters.
HostBridge = Annotated[str, Text(r"[A-Za-z][A-Za-z0-9_.-]{0,14}", "a bridge of the host such as br0", 15)]
RulesPerGroup = Annotated[int, Whole(60, 1000, "rules")]
HostCpus = Annotated[int, Whole(1, 4096, "vCPUs")]
HostMemory = Annotated[int, Whole(1, 65536, "GiB")]
HostDisk = Annotated[int, Whole(1, 10_000_000, "GiB")]
VersionConstraint = Annotated[
    str,
    Text(
        r"(=|!=|>=?|<=?|~>)?\s*\d+(\.\d+){0,2}(,\s*(=|!=|>=?|<=?|~>)?\s*\d+(\.\d+){0,2})*",
        'a version constraint such as "~> 6.0"',
        60,
    ),
]
KmsKeyArn = Annotated[
    str,
    Text(
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+",
        "a key's ARN such as arn:aws:kms:eu-west-3:123456789012:key/…",
        300,
    ),
]
PolicyArn = Annotated[
    str,
    Text(
        r"arn:aws[a-z-]*:iam::(\d{12}|aws):policy/[\w+=,.@/-]+",
        "a policy's ARN such as arn:aws:iam::123456789012:policy/boundary",
        300,
    ),
]

# Users and groups of Debian 12 and Ubuntu 24.04 cloud images; useradd refuses a name that either has.
_SYSTEM_NAMES = """
    adm admin audio backup bin cdrom daemon debian dialout dip disk docker fax floppy games gnats irc kmem
    list lp lxd mail man messagebus netdev news nobody nogroup operator plugdev proxy root sasl shadow src
    sshd staff sudo sync sys syslog tape tty ubuntu users utmp uucp uuidd video voice www-data
"""


def _no_system_user(value: str) -> None:
    taken = set(_SYSTEM_NAMES.split()) | {user.name for component in COMPONENTS for user in component.users}
    if value in taken:
        raise refuse("a name of your own such as ops: the system has a user or group of that name")


UserName = Annotated[
    str,
    Text(r"[a-z_][a-z0-9_-]*", "a Linux user name such as ops, lower case", 30, also=_no_system_user),
]


def _tag_text(value: str) -> None:
    if not re.fullmatch(r"[\w .:/=+@-]*", value):
        raise refuse("letters, digits, spaces and _ . : / = + - @, which every AWS service takes")


def _tag_key(value: str) -> None:
    _tag_text(value)
    if value.lower().startswith("aws:"):
        raise refuse("another key: AWS keeps the prefix aws: for itself")
    if value.lower().startswith("clustermesos:"):
        raise refuse("another key: clustermesos: starts the tags that are set here")
    if value.lower() == "name":
        raise refuse("another key: Name is set to each resource's own name")


# AWS takes the letters of every language; JSON Schema's dialect of patterns can't say that, so it says more.
_TAG_CHARACTERS = "[A-Za-z0-9_ .:/=+@\u00a0-\uffff-]"
TagKey = Annotated[
    str, Text(f"{_TAG_CHARACTERS}+", "a tag's key of letters, digits and _ . : / = + - @", 128, also=_tag_key)
]
TagValue = Annotated[
    str,
    Text(f"{_TAG_CHARACTERS}*", "a tag's value of letters, digits and _ . : / = + - @", 256, also=_tag_text),
]
# Mesos' text type; `;` and `:` would end the value inside --attributes=key:value;key:value.
AttributeName = Annotated[
    str, Text(r"[A-Za-z0-9_./-]+", "an attribute name of letters, digits and _ . / -", 64)
]
AttributeValue = Annotated[
    str,
    Text(
        r"[A-Za-z0-9_./-]+", "an attribute's value of letters, digits and _ . / - (no ; : or line break)", 64
    ),
]


def own_registry(registry: str) -> str:
    """What is expected instead of a registry that the cluster's own nodes run; empty for any other."""
    if not re.match(r"[^/:]*\.consul([/:]|$)", registry):
        return ""
    return (
        "a registry that is there before the cluster is: nodes pull these images to start Consul's names and "
        "the private registry"
    )


def _no_scheme(value: str) -> None:
    if "://" in value:
        got = None if "@" not in value else "an address with a user or password in it (not shown)"
        raise refuse("a registry without https:// before it, such as registry.example.org/mirror", got)
    if problem := own_registry(value):
        raise refuse(problem)


ImagePrefix = Annotated[
    str,
    Text(
        r"([a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?(/[a-z0-9._-]+)*/?)?",
        "a registry prefix such as registry.example.org/mirror, lower case",
        200,
        also=_no_scheme,
    ),
]


def _no_password(value: str) -> None:
    if re.search(r"://[^/\s]*@", value):
        raise refuse(
            "a mirror without user and password: this file is committed",
            "an address with a user or password in it (not shown)",
        )


Mirror = Annotated[
    str, Text(r"[!-~]+", "an address or a registry prefix, not an apt line", 300, also=_no_password)
]


def _no_latest(value: str) -> None:
    if value.lower() in ("latest", "stable", "newest"):
        raise refuse("a fixed version: a node that is built tomorrow has to be like today's")
    if "@" in value or value.startswith("sha256:"):
        raise refuse("a version; a digest belongs under sha256")


Version = Annotated[
    str, Text(r"[0-9A-Za-z][0-9A-Za-z.+~:_-]*", "a version such as 3.9.6", 100, also=_no_latest)
]
Sha256 = Annotated[str, Text(r"[0-9a-f]{64}", "64 lower-case hexadecimal digits", 80)]
Fingerprint = Annotated[
    str,
    Text(
        r"[0-9A-F]{40}",
        "40 hexadecimal digits in capitals, without spaces, of the whole fingerprint",
        80,
    ),
]
HttpUrl = Annotated[str, Url(example="http://mirror.example.org/ubuntu")]
ProxyUrl = Annotated[str, Url(example="http://proxy.example.org:3128")]
ApiUrl = Annotated[str, Url(secure=True, example="http://127.0.0.1:5000")]
StateUrl = Annotated[
    str, Url(secure=True, placeholder="{stack}", example="https://state.example.org/{stack}")
]

BucketName = Annotated[
    str,
    Text(
        r"[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]",
        "a bucket name: 3 to 63 of a-z, 0-9, hyphen and dot",
        63,
    ),
]
StatePrefix = Annotated[str, Text(r"[A-Za-z0-9][\w./-]*", "a path such as clustermesos or teams/infra", 200)]
TableName = Annotated[str, Text(r"[A-Za-z0-9_.-]{3,255}", "a DynamoDB table's name", 255)]
StateKmsKey = Annotated[str, Text(r"[A-Za-z0-9:/_-]+", "a KMS key's id, alias or ARN", 300)]
ResourceGroup = Annotated[str, Text(r"[\w().-]{0,89}[\w()-]", "a resource group's name", 90)]
StorageAccount = Annotated[str, Text(r"[a-z0-9]{3,24}", "a storage account: 3 to 24 of a-z and 0-9", 24)]
Container = Annotated[
    str, Text(r"[a-z0-9](-?[a-z0-9]){2,62}", "a container: 3 to 63 of a-z, 0-9 and hyphen", 63)
]


_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
Host = Annotated[str, Text(_HOST, "a host such as ntp.example.org or 10.20.0.5", 253)]
LogTarget = Annotated[
    str,
    Text(
        rf"(tcp|udp)://{_HOST}:[1-9]\d{{0,4}}",
        "tcp:// or udp://, a host and a port, such as tcp://logs:514",
        270,
    ),
]
Alertmanager = Annotated[
    str,
    Text(
        rf"https?://{_HOST}:[1-9]\d{{0,4}}",
        "http:// or https://, a host and a port, such as http://alerts:9093",
        270,
    ),
]
MountSource = Annotated[
    str, Text(r"[A-Za-z0-9][A-Za-z0-9.,:-]*:/[A-Za-z0-9_./-]*", "HOST:/PATH such as 10.20.0.5:/export", 250)
]
MountOptions = Annotated[
    str, Text(r"([a-z0-9_.=/-]+(,[a-z0-9_.=/-]+)*)?", "options such as vers=4.2,noatime, without spaces", 250)
]
SharedType = Annotated[Literal["nfs", "ceph"], OneOf(("nfs", "ceph"))]
_PREFLIGHT = ("cgroup", "root-disk", "data-disk", "address", "dns", "clock", "mesos", "docker-api")
PreflightCheck = Annotated[
    Literal["cgroup", "root-disk", "data-disk", "address", "dns", "clock", "mesos", "docker-api"],
    OneOf(_PREFLIGHT),
]

Placement = Annotated[Literal["private", "public", "any"], OneOf(("private", "public", "any"))]
Cloud = Annotated[Literal["private", "public"], OneOf(("private", "public"))]
Strategy = Annotated[
    Literal["rolling", "blue-green", "canary", "recreate"],
    OneOf(("rolling", "blue-green", "canary", "recreate")),
]
Requirement = Annotated[
    Literal["backup", "health", "on-call", "alerts", "digest"],
    OneOf(("backup", "health", "on-call", "alerts", "digest")),
]
CutOff = Annotated[Literal["by-state", "wait", "elsewhere"], OneOf(("by-state", "wait", "elsewhere"))]
CutOffSeconds = Annotated[int, Whole(0, 604_800, "seconds")]
PolicyName = Annotated[str, Name("policy", 20)]
TargetName = Annotated[str, Name("backup target", 20)]
Snapshots = Annotated[int, Whole(1, 520, "snapshots")]
VariableName = Annotated[
    str, Text(r"[A-Z_][A-Z0-9_]*", "a variable's name such as AWS_ACCESS_KEY_ID, upper case", 100)
]


def _no_login(value: str) -> None:
    if re.search(r"://[^/\s]*@", value):
        raise refuse(
            "a repository without user and password: this file is committed; name them under credentials",
            "an address with a user or password in it (not shown)",
        )


Repository = Annotated[
    str,
    Text(
        r"(s3|swift|rest|sftp|azure|gs|b2|rclone):[!-~]+|/[A-Za-z0-9_./-]+",
        "a restic repository such as s3:https://s3.example.org/backups",
        300,
        also=_no_login,
    ),
]
_REFERENCE = r"[a-z0-9][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*){1,3}"


def _no_value(value: str) -> None:
    if not re.fullmatch(_REFERENCE, value):
        # Whatever it is, it could be the secret itself.
        raise refuse(
            "a reference such as shop/db, never the secret itself: this file is committed",
            "a value (not shown)",
        )


SecretReference = Annotated[
    str, Text(_REFERENCE, "a reference such as shop/db, of 2 to 4 parts", 100, also=_no_value)
]
_IMAGE = (
    r"[a-z0-9]+([._:-]+[a-z0-9]+)*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)


def _some_image(value: str) -> None:
    if "://" in value:
        raise refuse("an image without https:// before it, such as registry.example.org/shop:1.4.2")
    name = re.split(r"[:@](?!.*/)", value)[0]
    if name != name.lower():
        raise refuse("an image's name in lower case: Docker takes no other")
    if "@" in value and not re.search(r"@sha256:[0-9a-f]{64}$", value):
        raise refuse("a whole digest: @sha256: and 64 hexadecimal digits, as `docker pull` prints it")


Image = Annotated[
    str,
    Text(
        _IMAGE,
        "an image with its tag or digest such as registry.example.org/shop:1.4.2",
        300,
        also=_some_image,
    ),
]
