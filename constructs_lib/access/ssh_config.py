"""The OpenSSH configuration of a cluster: its text as a pure function, and its files below .clustermesos.

    ssh_config         for people: ssh -F .clustermesos/ssh_config master-1
    ssh_batch_config   for programs: the same, and nothing may ever ask
    known_gateways     the planned host keys of the gateways; checked strictly
    known_nodes        the host keys of the machines behind them, each learnt at the first contact

A machine behind the gateway makes its own host key at its first boot, which no plan can know. Its key is
taken at the first contact (through the gateway, whose key is checked) and is held to afterwards. It is
filed under the machine's id, not under the node's name, so that a replaced node is a new machine for every
operator, and a changed key on the same machine stays an alarm.
"""

from __future__ import annotations

import os
import shlex
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from constructs_lib.access.deployed import Deployed
from constructs_lib.errors import ToolError

CONNECT_SECONDS = 15
BATCH = (
    "BatchMode yes",
    "NumberOfPasswordPrompts 0",
    "RequestTTY no",
    "ControlMaster no",
    "ControlPath none",
    "ClearAllForwardings yes",
    "LogLevel ERROR",
)


@dataclass(frozen=True, kw_only=True)
class Host:
    """One machine: `names` are what `ssh` may call it, `identity` what its host key is filed under."""

    names: tuple[str, ...]
    address: str
    user: str
    identity: str
    port: int = 22
    host_key: str | None = None
    """The planned public key, `ssh-ed25519 AAAA…`; None learns it at the first contact."""
    via: str | None = None
    """The name of the host to jump from."""


@dataclass(frozen=True)
class Folder:
    """Where the files are: a workspace's private folder."""

    path: Path

    @property
    def config(self) -> Path:
        """For people."""
        return self.path / "ssh_config"

    @property
    def batch_config(self) -> Path:
        """For programs."""
        return self.path / "ssh_batch_config"

    @property
    def known_gateways(self) -> Path:
        """Planned host keys."""
        return self.path / "known_gateways"

    @property
    def known_nodes(self) -> Path:
        """Learnt host keys; ssh adds to it."""
        return self.path / "known_nodes"


def hosts_of(
    deployed: Sequence[Deployed],
    gateway_keys: Mapping[str, str],
    machines: Mapping[str, Mapping[str, str]] | None = None,
) -> tuple[Host, ...]:
    """Every machine that can be logged in to: `master-1.eu`, and `master-1` where only one site has that
    name.

    `gateway_keys` gives each site's planned public host key, `machines` more of a site's machines as id →
    address (agents that a platform scales, which no output lists). A site without a gateway has none that can
    be reached.
    """
    names = [name for site in deployed for name in (*site.nodes, *site.agents)]
    found: list[Host] = []
    for site in deployed:
        if site.gateway is None or site.login is None:
            continue
        gateway = f"{site.gateway.name}.{site.site}"
        behind = {name: (node.address, node.instance_id) for name, node in site.nodes.items()}
        behind |= {name: (address, name) for name, address in (machines or {}).get(site.site, {}).items()}
        # Last: an agent's name outlives its machine, and each machine has a host key of its own.
        behind |= {name: (agent.address, agent.id) for name, agent in site.agents.items()}
        for name, (address, machine) in behind.items():
            full = f"{name}.{site.site}"
            first = full == gateway
            found.append(
                Host(
                    names=(full, name) if names.count(name) <= 1 else (full,),
                    address=site.gateway.public_address if first else address,
                    user=site.login.user,
                    # The planned key stays when the gateway's machine is replaced.
                    identity=f"{site.cluster}-{full}"
                    if first or machine is None
                    else f"{site.cluster}-{full}-{machine}",
                    host_key=gateway_keys.get(site.site) if first else None,
                    via=None if first else gateway,
                )
            )
    return tuple(found)


def ssh_config(
    hosts: Iterable[Host], folder: Folder, *, identity_file: Path | None = None, batch: bool = False
) -> str:
    """The text of `folder.config`, or with `batch` of `folder.batch_config`, where nothing may ever ask.

    The user's own configuration comes last: it may add keys and the way out of an office network, and cannot
    loosen what is set here, since OpenSSH takes the first value it finds.
    """
    file = folder.batch_config if batch else folder.config
    blocks = ["# Written by clustermesos, by show and by roll; changes are lost."]
    if batch:
        blocks += ["# For programs: nothing in this file may wait for a person.", *BATCH, ""]
    blocks += [_block(host, folder, file) for host in hosts]
    blocks.append("Host *")
    if identity_file is not None:
        blocks.append(f"  IdentityFile {_quoted(identity_file.resolve())}\n  IdentitiesOnly yes")
    blocks.append(f"  ConnectTimeout {CONNECT_SECONDS}\n  ServerAliveInterval 5\n  ServerAliveCountMax 3")
    blocks.append("  ForwardAgent no\n  Include ~/.ssh/config\n")
    return "\n".join(blocks)


def known_gateways(hosts: Iterable[Host]) -> str:
    """The planned host keys in known_hosts form."""
    return "".join(f"{host.identity} {host.host_key}\n" for host in hosts if host.host_key)


def write(hosts: Sequence[Host], folder: Folder, *, identity_file: Path | None = None) -> None:
    """Write all files, 0600; `known_nodes` is only made where it is missing."""
    _replace(folder.known_gateways, known_gateways(hosts))
    if not folder.known_nodes.exists():
        _replace(folder.known_nodes, "")
    _replace(folder.config, ssh_config(hosts, folder, identity_file=identity_file))
    _replace(folder.batch_config, ssh_config(hosts, folder, identity_file=identity_file, batch=True))


def _block(host: Host, folder: Folder, file: Path) -> str:
    planned = host.via is None
    known = folder.known_gateways if planned else folder.known_nodes
    lines = [
        f"Host {' '.join(host.names)}",
        f"HostName {host.address}",
        f"Port {host.port}",
        f"User {host.user}",
        f"HostKeyAlias {host.identity}",
        f"UserKnownHostsFile {_quoted(known.resolve())}",
        "GlobalKnownHostsFile none",
        f"StrictHostKeyChecking {'yes' if planned else 'accept-new'}",
        "CheckHostIP no",
        # The server must not add keys to a file that is written from the plan.
        "UpdateHostKeys no",
        "VerifyHostKeyDNS no",
    ]
    if host.via is None:
        # A jump host of the user's own configuration still applies to the gateway.
        lines.append("HostKeyAlgorithms ssh-ed25519")
    else:
        # Not ProxyJump, which hands on the file of this configuration without quotes.
        jump = shlex.quote(str(file.resolve())).replace("%", "%%")
        lines.append(f"ProxyCommand ssh -F {jump} -W '[%h]:%p' {host.via}")
    return "\n  ".join(lines) + "\n"


def _quoted(path: Path) -> str:
    text = str(path)
    if any(sign in text for sign in ('"', "\n", "${")):
        raise ToolError(
            f"{text}: OpenSSH can't be told a path with a quote, a line break or ${{; "
            "move the cluster's folder"
        )
    # What % stands for, OpenSSH would put in.
    return '"' + text.replace("%", "%%") + '"'


def _replace(path: Path, text: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
