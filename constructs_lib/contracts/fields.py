"""The types of a contract's fields: each a plain Python type with its rule."""

from __future__ import annotations

from typing import Annotated, Literal

from constructs_lib.spec.field_rules import Name
from constructs_lib.spec.rules import AlwaysTrue, Number, OneOf, Text, Whole

LONGEST_NAME = 40
"""`NAME-PORT` is a service in Consul, one label of a DNS name of at most 63."""

ContractName = Annotated[str, Name("contract", LONGEST_NAME, (("clustermesos", "it is the platform's own"),))]
PortName = Annotated[str, Name("port", 15)]
VolumeName = Annotated[str, Name("volume", 20)]

_CONTACT = r"[^\s@]+@[A-Za-z0-9.-]+|https?://[^\s@]+|[#@][\w.-]+|\+[\d ]{6,20}"
Owner = Annotated[str, Text(r"[^\s@]+@[A-Za-z0-9.-]+", "an e-mail address such as shop@example.org", 200)]
Contact = Annotated[
    str,
    Text(_CONTACT, "whom to call: an e-mail address, a pager's https:// address, #channel or +number", 200),
]

Command = Annotated[str, Text(r"[^\x00-\x1f\x7f]+", "a command on one line", 4000)]
Argument = Annotated[str, Text(r"[^\x00-\x1f\x7f]*", "an argument on one line", 4000)]
EnvName = Annotated[
    str, Text(r"[A-Za-z_][A-Za-z0-9_]*", "a variable's name: letters, digits and _, no digit first", 100)
]
EnvValue = Annotated[str, Text(r"[^\x00-\x1f\x7f]*", "text on one line", 4000)]


Port = Annotated[int, Whole(1, 65535, "the port inside the container")]
HostPort = Annotated[int, Whole(1, 65535, "the port on the agent")]
Path = Annotated[str, Text(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*", "a path such as /healthz", 300)]
ContainerPath = Annotated[
    str,
    Text(
        r"/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*", "an absolute path in the container such as /var/lib/app", 200
    ),
]
Host = Annotated[
    str,
    Text(
        r"(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+",
        "a host name such as shop.example.org, lower case",
        253,
    ),
]

Seconds = Annotated[int, Whole(1, 3600, "seconds")]
LongSeconds = Annotated[int, Whole(1, 86_400, "seconds")]
NoOrSomeSeconds = Annotated[int, Whole(0, 3600, "seconds")]
Failures = Annotated[int, Whole(1, 100, "failures in a row")]
Percent = Annotated[int, Whole(1, 100, "percent")]
SmallPercent = Annotated[int, Whole(1, 50, "percent")]
Requests = Annotated[int, Whole(1, 1_000_000, "requests")]
Cpus = Annotated[float, Number(0.01, 192, "CPUs")]
MemoryMib = Annotated[int, Whole(16, 1_572_864, "MiB")]
DiskMib = Annotated[int, Whole(0, 16_777_216, "MiB")]
LogMib = Annotated[int, Whole(1, 1024, "MiB")]
Count = Annotated[int, Whole(0, 1000, "instances")]
Surge = Annotated[int, Whole(1, 100, "instances")]
ZoneCount = Annotated[int, Whole(1, 3, "zones")]
PerHost = Annotated[int, Whole(1, 100, "instances")]
Kept = Annotated[int, Whole(0, 1000, "snapshots")]
Restarts = Annotated[int, Whole(1, 1000, "restarts")]
Target = Annotated[float, Number(0.05, 1, "share of what an instance has")]
Offset = Annotated[float, Number(0, 0.95, "share of what an instance has")]
Bound = Annotated[float, Number(-1e12, 1e12, "")]

RuntimeKind = Annotated[Literal["jvm", "node", "go", "python"], OneOf(("jvm", "node", "go", "python"))]
VolumeKind = Annotated[Literal["local", "shared"], OneOf(("local", "shared"))]
LogFormat = Annotated[Literal["text", "json"], OneOf(("text", "json"))]
OnTimeout = Annotated[Literal["wait", "cut"], OneOf(("wait", "cut"))]
Promote = Annotated[Literal["automatic", "manual"], OneOf(("automatic", "manual"))]
BackedUp = Annotated[Literal["volume", "dump", "both"], OneOf(("volume", "dump", "both"))]
Encrypted = Annotated[Literal[True], AlwaysTrue("a backup that is not encrypted is not made")]

Query = Annotated[str, Text(r"[^\x00-\x1f\x7f]+", "a PromQL expression on one line", 2000)]
Signal = Annotated[str, Text(r"[^\x00-\x1f\x7f]+", "cpu, memory or a PromQL expression", 2000)]
CheckName = Annotated[str, Name("check", 40)]
Schedule = Annotated[
    str,
    Text(
        r"(hourly|daily|weekly|monthly)|(daily|weekly|monthly) at ([01]\d|2[0-3]):[0-5]\d"
        r"|PT([1-9]|1\d|2[0-3])H|P([1-9]|[12]\d|30)D",
        "hourly, daily, weekly, monthly, `daily at 02:30` (UTC), or a period such as PT6H",
        40,
    ),
]
RestoreTest = Annotated[
    str,
    Text(
        r"(daily|weekly|monthly)( at ([01]\d|2[0-3]):[0-5]\d)?|P([1-9]|[12]\d|30)D",
        "daily, weekly, monthly, `weekly at 04:00` (UTC), or a period such as P3D: a backup that is never "
        "restored is none",
        40,
    ),
]
FileName = Annotated[str, Text(r"[A-Za-z0-9][A-Za-z0-9_.-]*", "a file's name such as shop.sql", 100)]
Rule = Annotated[
    Literal["placement", "strategy", "backup", "health", "on-call", "alerts", "digest"],
    OneOf(("placement", "strategy", "backup", "health", "on-call", "alerts", "digest")),
]
Reason = Annotated[
    str, Text(r"[^\x00-\x1f\x7f]{10,}", "a reason of ten characters and more, on one line", 500)
]
Ticket = Annotated[
    str,
    Text(r"[A-Z][A-Z0-9]+-\d+|#\d+|https?://[^\s@]+", "a ticket such as OPS-123, #123 or its address", 300),
]
Runbook = Annotated[
    str, Text(r"https?://[^\s@]+", "the page's address such as https://wiki.example.org/shop", 300)
]
