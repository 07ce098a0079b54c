"""What Mesos' master and agent check alike before they start: address, name, domain, authenticators."""

from __future__ import annotations

import ipaddress
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructs_lib.simulator.credentials import read_credentials
from constructs_lib.simulator.double import MESOS_VERSION, Log, RefusedError, notice
from constructs_lib.simulator.flags import Given

_ANY = "0.0.0.0"  # noqa: S104 — Mesos' own default


@dataclass(frozen=True)
class Place:
    """Where a Mesos process listens and under which name and address others find it."""

    bind: str
    port: int
    ip: str
    advertised_port: int
    hostname: str

    def address(self) -> dict[str, Any]:
        """As Mesos writes it into MasterInfo."""
        return {"hostname": self.hostname, "ip": self.ip, "port": self.advertised_port}

    def ip_number(self) -> int:
        """The address as Mesos' deprecated number, its bytes in network order."""
        return int.from_bytes(ipaddress.IPv4Address(self.ip).packed, "little")


def place(flags: Given, environ: Mapping[str, str], default_port: int) -> Place:
    """Where to listen, from `--ip`, `--port`, `--advertise_*`, `--hostname*` and LIBPROCESS_*.

    Raises:
        RefusedError: an address that is none, or two sources for it.
    """
    if "ip" in flags and "ip_discovery_command" in flags:
        raise RefusedError("Only one of `--ip` or `--ip_discovery_command` should be specified")
    bind = _ipv4(flags.get("ip") or environ.get("LIBPROCESS_IP") or _ANY, "--ip")
    port = flags.get("port", default_port)
    if not 0 <= port < 65536:
        raise RefusedError(f"Failed to load flag 'port': Failed to load value: '{port}' is no port")
    ip = flags.get("advertise_ip") or environ.get("LIBPROCESS_ADVERTISE_IP")
    ip = ip or (bind if bind != _ANY else None)
    address = _ipv4(ip or _own_address(), "--advertise_ip")
    advertised = flags.get("advertise_port") or environ.get("LIBPROCESS_ADVERTISE_PORT") or str(port)
    if not advertised.isdecimal():
        raise RefusedError(f"Failed to parse LIBPROCESS_ADVERTISE_PORT '{advertised}': it is no port")
    return Place(bind, port, address, int(advertised), _hostname(flags, address))


def _ipv4(text: str, flag: str) -> str:
    try:
        return str(ipaddress.IPv4Address(text.strip()))
    except ValueError:
        raise RefusedError(f"Failed to parse '{text}' of {flag}: it is no IPv4 address") from None


def _own_address() -> str:
    try:
        return socket.gethostbyname(socket.gethostname())
    except OSError:
        raise RefusedError(
            "Failed to obtain the IP address of this host's name; the DNS service may not be able to"
        ) from None


def _hostname(flags: Given, address: str) -> str:
    if flags.get("hostname"):
        return str(flags["hostname"])
    if not flags.get("hostname_lookup", True):
        return address
    try:
        return socket.gethostbyaddr(address)[0]
    except OSError:
        raise RefusedError(
            f"Failed to get hostname for {address}: no name; set --hostname or --no-hostname_lookup"
        ) from None


def check_domain(domain: Mapping[str, Any] | None) -> None:
    """Refuse a `--domain` that lacks a name that Mesos requires."""
    if domain is None:
        return
    fault = domain.get("fault_domain")
    for level in ("region", "zone"):
        part = fault.get(level) if isinstance(fault, dict) else None
        if not isinstance(part, dict) or not isinstance(part.get("name"), str):
            raise RefusedError(
                f"Failed to load flag 'domain': Missing required field: fault_domain.{level}.name"
            )


def make_folder(path: str, what: str) -> Path:
    """Make a folder that Mesos writes into.

    Raises:
        RefusedError: it can't be made or written.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".writable-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise RefusedError(f"Failed to create {what} '{path}': {error.strerror}") from None
    return folder


@dataclass(frozen=True)
class HttpLogins:
    """Who may use the HTTP endpoints; an empty `known` with a true flag lets nobody in."""

    read_only: bool
    read_write: bool
    known: Mapping[str, str]


def http_logins(flags: Given, file_flag: str, realm: str, log: Log) -> HttpLogins:
    """Authentication of the HTTP endpoints, with the credentials that `--<file_flag>` names.

    Raises:
        RefusedError: the file is needed and missing or wrong, or there is another authenticator than `basic`.
    """
    read_only = flags.get("authenticate_http_readonly", False)
    read_write = flags.get("authenticate_http_readwrite", False)
    known = read_credentials(flags[file_flag], log) if file_flag in flags else {}
    authenticator = flags.get("http_authenticators", "basic")
    if authenticator != "basic":
        raise RefusedError(
            f"HTTP authenticator '{authenticator}' not found. Check the spelling, compare the list of modules"
        )
    if (read_only or read_write) and not known:
        raise RefusedError(
            f"No credentials provided for the default 'basic' HTTP authenticator for realm '{realm}'"
        )
    return HttpLogins(read_only, read_write, known)


def version(program: str) -> dict[str, Any]:
    """What `/version` answers."""
    return {"version": MESOS_VERSION, "build_user": "double", "build_date": "", "double": notice(program)}


def version_line(program: str) -> str:
    """What `--version` prints: Mesos' line, then the double's name."""
    return f"mesos {MESOS_VERSION}\n{notice(program)}"


def shown(flags: Given) -> dict[str, str]:
    """The flags for `/state` and `/flags` as text, without the password of a ZooKeeper URL."""
    return {name: _text(name, value) for name, value in sorted(flags.items())}


def started_with(flags: Given) -> str:
    """The line in which Mesos logs its flags: JSON with all that its file holds, of a path the path alone."""
    return "Flags at startup: " + " ".join(f'--{name}="{value}"' for name, value in shown(flags).items())


def _text(name: str, value: object) -> str:
    if name in ("zk", "master") and isinstance(value, str) and "@" in value:
        return value.partition("//")[0] + "//***@" + value.rpartition("@")[2].strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value) if isinstance(value, dict | list) else str(value)
