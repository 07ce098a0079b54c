"""NodeFiles: everything that one node gets, as plain data and without a single secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from constructs_lib.components.model import (
    AptRepository,
    Directory,
    Role,
    SecretKind,
    SystemUser,
)
from constructs_lib.plan.model import LateValue


@dataclass(frozen=True, kw_only=True)
class NodeFile:
    """One file: `content` is text (UTF-8 on the node) and may hold late markers."""

    path: str
    content: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    restarts: str | None = None
    reloads: str | None = None
    live_keys: tuple[str, ...] = ()
    """Of a JSON object: a change of these alone, none of which goes away, reloads the unit of `restarts`."""


@dataclass(frozen=True, kw_only=True)
class NodeSecret:
    """A secret that the node fetches by `name` and keeps in its own file, 0600 but for a certificate."""

    name: str
    kind: SecretKind
    path: str
    owner: str
    mode: int
    restarts: str | None
    reloads: str | None


@dataclass(frozen=True, kw_only=True)
class NodePackages:
    """Packages of one component: `version` pins the first and holds all; None is the distribution's."""

    component: str
    names: tuple[str, ...]
    version: str | None
    repository: AptRepository | None
    source: str
    """The name of the repository's files on the node: the first component's that has it. apt refuses to read
    anything where two files name one repository with keys at two places.
    """
    held: bool = False
    """Held without a version too: in whatever version the distribution had when they were installed."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One component's units, started in order and waited for until `checks` pass, before the next stage."""

    component: str
    units: tuple[str, ...]
    checks: tuple[str | Mapping[str, object], ...]
    """As the node's program reads them: a unit that has to be active, or a mapping with a `kind`."""
    ready_within: int
    """Seconds."""


@dataclass(frozen=True, kw_only=True)
class NodeFiles:
    """What one node gets: a planned node, or all agents of one pool, which share one text."""

    cluster: str
    site: str
    name: str
    """The planned node's name, or the pool's."""
    role: Role
    hostname: str | None
    """None for agents: each keeps the name that its platform gives it."""
    admin_user: str
    ssh_keys: tuple[str, ...]
    users: tuple[SystemUser, ...]
    directories: tuple[Directory, ...]
    files: tuple[NodeFile, ...]
    secrets: tuple[NodeSecret, ...]
    base_packages: tuple[str, ...]
    """From the distribution; scripts and files need them before anything else runs."""
    packages: tuple[NodePackages, ...]
    stages: tuple[Stage, ...]
    boot_units: tuple[str, ...]
    data_volume: LateValue | None
    late_values: tuple[LateValue, ...]
    """Those that the texts mention, in the plan's order."""
    apt_mirror: str | None
    apt_security_mirror: str | None
    proxy: str | None
    cloud_config: Mapping[str, object]
    """The operator's extra cloud-config for this role."""

    def file(self, path: str) -> NodeFile:
        """The file at `path` on the node; KeyError when there is none."""
        for file in self.files:
            if file.path == path:
                return file
        raise KeyError(path)
