"""The types of the model's fields: each a plain Python type with its rule."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from constructs_lib.components import COMPONENTS, component_names
from constructs_lib.spec.rules import Flag, OneOf, Rule, Text, Whole, refuse
from constructs_lib.spec.ssh_keys import SshKey
from constructs_lib.spec.wording import did_you_mean, one_of, show

LONGEST_CLUSTER, LONGEST_SITE, LONGEST_POOL = 20, 12, 20
LONGEST_TOGETHER = 24
"""Cluster and site name: `<cluster>-<site>-edge-tg` has to fit into a load balancer's 32 characters."""


@dataclass(frozen=True)
class Name(Rule):
    """A DNS label that starts with a letter; `reserved` maps names that something else needs to who needs them."""

    of: str
    longest: int
    reserved: tuple[tuple[str, str], ...] = ()
    """Pairs: a pattern and why no name may match it."""

    def check(self, value: object) -> object:
        """The same name."""
        expected = f"a {self.of} name: lower-case letters, digits and single hyphens, starting with a letter"
        if not isinstance(value, str):
            raise refuse(f"{expected}, as text in quotes")
        if len(value) > self.longest:
            raise refuse(
                f"at most {self.longest} characters, so that names made from it fit the platform's limits",
                f"{show(value)} ({len(value)} characters)",
            )
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value):
            near = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
            usable = re.fullmatch(r"[a-z][a-z0-9-]*", near) and near != value
            raise refuse(f"{expected}{f'; did you mean {near}?' if usable else ''}")
        for pattern, why in self.reserved:
            if re.fullmatch(pattern, value):
                raise refuse(f"another {self.of} name: {why}")
        return value

    def json_schema(self) -> dict[str, Any]:
        """Pattern and length."""
        return {"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "maxLength": self.longest}


@dataclass(frozen=True)
class Network(Rule):
    """An IPv4 range such as 10.20.0.0/16 with no host bits set."""

    def check(self, value: object) -> object:
        """An IPv4Network."""
        if isinstance(value, IPv4Network):
            return value
        expected = "an IPv4 range such as 10.20.0.0/16"
        if isinstance(value, str) and ":" in value:
            raise refuse(f"{expected}; IPv6 is not supported yet")
        if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+){3}", value):
            raise refuse(f"a range with its length; for this one address write {value}/32")
        if not isinstance(value, str) or not re.fullmatch(r"\d+(\.\d+){3}/\d{1,2}", value):
            raise refuse(expected)
        try:
            network = IPv4Network(value, strict=False)
        except ValueError:
            raise refuse(f"{expected}: four numbers up to 255 without leading zeros, and a length up to 32") from None
        if str(network) != value:
            raise refuse(f"{expected}: bits after the length are set, did you mean {network}?")
        return network

    def json_schema(self) -> dict[str, Any]:
        """The written form."""
        return {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$"}


@dataclass(frozen=True)
class Address(Rule):
    """One IPv4 address of a machine."""

    def check(self, value: object) -> object:
        """An IPv4Address."""
        expected = "an IPv4 address of a machine such as 10.20.16.4"
        try:
            address = ipaddress.IPv4Address(value) if isinstance(value, str | IPv4Address) else None
        except ValueError:
            address = None
        if address is None or address.is_multicast or address.is_loopback or address.is_link_local:
            raise refuse(expected)
        if address.is_unspecified or address.is_reserved:
            raise refuse(expected)
        return address

    def json_schema(self) -> dict[str, Any]:
        """The written form."""
        return {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,3}){3}$"}


@dataclass(frozen=True)
class Zones(Rule):
    """1 to 3, or that many letters."""

    def check(self, value: object) -> object:
        """The number, or a tuple of letters."""
        expected = "how many (1, 2 or 3), or their letters in order such as [a, b, c]"
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 3:
            return value
        if not isinstance(value, list | tuple):
            raise refuse(expected)
        if not 1 <= len(value) <= 3:
            raise refuse(expected)
        for letter in value:
            if not isinstance(letter, str) or not re.fullmatch("[a-z]", letter):
                last = letter[-1:] if isinstance(letter, str) else ""
                whole_name = isinstance(letter, str) and re.fullmatch(r"[a-z]+(-[a-z]+)+-\d[a-z]", letter)
                raise refuse(f"only the zone's letter, {last}" if whole_name else expected, show(letter))
        if len(set(value)) != len(value):
            raise refuse("every letter once", f"[{', '.join(value)}]")
        return tuple(value)

    def json_schema(self) -> dict[str, Any]:
        """Either form."""
        letters = {"type": "string", "pattern": "^[a-z]$"}
        return {
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": 3},
                {"type": "array", "items": letters, "minItems": 1, "maxItems": 3, "uniqueItems": True},
            ]
        }


@dataclass(frozen=True)
class Url(Rule):
    """An http(s) address without user and password; https only where `secure`, but for this machine."""

    secure: bool = False
    placeholder: str = ""
    """A word in braces that the address may hold."""
    example: str = "https://example.org"

    def check(self, value: object) -> object:
        """The same address."""
        expected = f"an address such as {self.example}"
        if not isinstance(value, str) or re.search(r"\s", value) or len(value) > 500:
            raise refuse(expected)
        try:
            url = urlsplit(value)
            host, _ = url.hostname, url.port
        except ValueError:
            raise refuse(expected) from None
        if "@" in url.netloc:
            raise refuse(
                f"{expected}, without user and password: this file is committed",
                "an address with a user or password in it (not shown)",
            )
        if url.scheme not in ("http", "https") or not host:
            raise refuse(expected)
        if self.secure and url.scheme == "http" and host not in ("127.0.0.1", "localhost", "::1"):
            raise refuse("an address that starts with https:// (http:// is for this machine only)")
        if re.search(r"[{}]", value.replace(self.placeholder or "{}", "")):
            allowed = f"no placeholder but {self.placeholder}" if self.placeholder else "no placeholder"
            raise refuse(f"{expected}, {allowed}")
        return value

    def json_schema(self) -> dict[str, Any]:
        """The scheme."""
        return {"type": "string", "pattern": r"^https?://[^@\s]+$", "maxLength": 500}


@dataclass(frozen=True)
class ComponentName(Rule):
    """A component that has software of its own."""

    def check(self, value: object) -> object:
        """The same name."""
        names = component_names()
        if value in names:
            return value
        if value in {component.name for component in COMPONENTS}:
            raise refuse(f"a component with software of its own: {one_of(names)}")
        settings = ("image_prefix", "apt_mirror", "proxy")
        near = did_you_mean(str(value), (*names, *settings))
        others = f"{one_of(names)}, or a setting: {one_of(settings)}"
        raise refuse(f"{others}; did you mean {near}?" if near else others)

    def json_schema(self) -> dict[str, Any]:
        """The names."""
        return {"enum": list(component_names())}


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
PoolName = Annotated[str, Name("pool", LONGEST_POOL, (_NODE_NAMES, _AWS_PREFIX))]

Range = Annotated[IPv4Network, Network()]
HostAddress = Annotated[IPv4Address, Address()]
ZoneList = Annotated[int | tuple[str, ...], Zones()]
Switch = Annotated[bool, Flag()]
PublicKey = Annotated[str, SshKey()]
Component = Annotated[str, ComponentName()]

_QUORUM = "an even number survives no more failures than one fewer, since more than half must agree"
MastersCount = Annotated[Literal[1, 3, 5], OneOf((1, 3, 5), even=_QUORUM)]
ConsulCount = Annotated[Literal[1, 3], OneOf((1, 3), even=_QUORUM)]
_NOT_BUILT = "openstack and libvirt are not built yet"
Platform = Annotated[
    Literal["aws"], OneOf(("aws",), reasons=(("openstack", _NOT_BUILT), ("libvirt", _NOT_BUILT), ("AWS", "lower case")))
]
NatMode = Annotated[Literal["one", "per_zone"], OneOf(("one", "per_zone"))]
Source = Annotated[Literal["image", "apt"], OneOf(("image", "apt"))]

Cpus = Annotated[int, Whole(1, 192, "vCPUs")]
MemoryGib = Annotated[int, Whole(1, 1536, "GiB")]
DiskGib = Annotated[int, Whole(8, 16384, "GiB")]
AgentCount = Annotated[int, Whole(0, 10_000, "agents")]
EdgeCount = Annotated[int, Whole(1, 10, "edge nodes")]
Mtu = Annotated[int, Whole(576, 9001, "bytes")]

InstanceType = Annotated[
    str,
    Text(
        r"[a-z][a-z0-9-]{0,20}\.(nano|micro|small|medium|large|\d{0,2}xlarge|metal(-\d{1,3}xl)?)",
        "an instance type such as m7i.xlarge",
        40,
    ),
]
Region = Annotated[str, Text(r"[a-z]{2}(-[a-z]{3,12}){1,2}-\d{1,2}", "a region such as eu-west-3", 25)]
Ami = Annotated[str, Text(r"ami-([0-9a-f]{8}|[0-9a-f]{17})", "an image id such as ami-0123456789abcdef0", 30)]
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
        r"arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:(key|alias)/[A-Za-z0-9/_-]+",
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

_SYSTEM_USERS = {"root", "nobody", "daemon", "sys", "sync", "syslog", "sshd", "ubuntu", "debian", "docker"}


def _no_system_user(value: str) -> None:
    taken = _SYSTEM_USERS | {user.name for component in COMPONENTS for user in component.users}
    if value in taken:
        raise refuse("a name of your own such as ops: the system has a user of that name")


UserName = Annotated[
    str,
    Text(r"[a-z_][a-z0-9_-]*", "a Linux user name such as ops, lower case", 30, also=_no_system_user),
]


def _no_aws_prefix(value: str) -> None:
    if value.lower().startswith("aws:"):
        raise refuse("another key: AWS keeps the prefix aws: for itself")
    if value.lower() == "name":
        raise refuse("another key: Name is set to each resource's own name")


TagKey = Annotated[
    str,
    Text(
        r"[\w .:/=+@-]+",
        "a tag's key of letters, digits, spaces and _ . : / = + - @",
        128,
        also=_no_aws_prefix,
    ),
]
TagValue = Annotated[
    str, Text(r"[\w .:/=+@-]*", "a tag's value of letters, digits, spaces and _ . : / = + - @", 256)
]
# Mesos' text type; `;` and `:` would end the value inside --attributes=key:value;key:value.
AttributeName = Annotated[str, Text(r"[A-Za-z0-9_./-]+", "an attribute name of letters, digits and _ . / -", 64)]
AttributeValue = Annotated[
    str, Text(r"[A-Za-z0-9_./-]+", "an attribute's value of letters, digits and _ . / - (no ; : or line break)", 64)
]


def _no_scheme(value: str) -> None:
    if "://" in value:
        got = None if "@" not in value else "an address with a user or password in it (not shown)"
        raise refuse("a registry without https:// before it, such as registry.example.org/mirror", got)


@dataclass(frozen=True)
class _ImagePrefix(Text):
    def check(self, value: object) -> object:
        text = super().check(value)
        # One slash at the end, so that whoever uses it only joins.
        return f"{text.rstrip('/')}/" if isinstance(text, str) and text else text


ImagePrefix = Annotated[
    str,
    _ImagePrefix(
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
    str, Text(r"[!-~]+( [!-~]+)*", "an apt line or a registry prefix, on one line", 300, also=_no_password)
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
HttpUrl = Annotated[str, Url(example="http://mirror.example.org/ubuntu")]
ProxyUrl = Annotated[str, Url(example="http://proxy.example.org:3128")]
ApiUrl = Annotated[str, Url(secure=True, example="http://127.0.0.1:5000")]
StateUrl = Annotated[str, Url(secure=True, placeholder="{stack}", example="https://state.example.org/{stack}")]

BucketName = Annotated[
    str,
    Text(r"[a-z0-9](?!.*\.\.)[a-z0-9.-]{1,61}[a-z0-9]", "a bucket name: 3 to 63 of a-z, 0-9, hyphen and dot", 63),
]
StatePrefix = Annotated[str, Text(r"[A-Za-z0-9][\w./-]*", "a path such as clustermesos or teams/infra", 200)]
TableName = Annotated[str, Text(r"[A-Za-z0-9_.-]{3,255}", "a DynamoDB table's name", 255)]
StateKmsKey = Annotated[str, Text(r"[A-Za-z0-9:/_-]+", "a KMS key's id, alias or ARN", 300)]
ResourceGroup = Annotated[str, Text(r"[\w().-]{0,89}[\w()-]", "a resource group's name", 90)]
StorageAccount = Annotated[str, Text(r"[a-z0-9]{3,24}", "a storage account: 3 to 24 of a-z and 0-9", 24)]
Container = Annotated[str, Text(r"[a-z0-9](-?[a-z0-9]){2,62}", "a container: 3 to 63 of a-z, 0-9 and hyphen", 63)]
