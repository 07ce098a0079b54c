"""What a component declares about itself; firewalls, node files, gates and docs are loops over it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from constructs_lib.components.alert import Alert
from constructs_lib.errors import SpecError

Protocol = Literal["tcp", "udp"]


class Role(StrEnum):
    """What a node is for; each role has its own fixed address range in every zone."""

    MASTER = "master"
    CONSUL = "consul"
    AGENT = "agent"
    GATEWAY = "gateway"
    EDGE = "edge"


class Peer(StrEnum):
    """Who may reach a port besides the nodes of a role."""

    ADMIN = "admin"
    """`admin.networks` of cluster.yaml."""
    PUBLIC = "public"
    """The networks that `edge.allow` names, once `edge.public` is true."""
    FRONTEND = "frontend"
    """The range that holds a platform's load balancer, which probes the edge from there."""
    SITES = "sites"
    """Gateways of other sites that call this one. Their addresses are not known beforehand."""


@dataclass(frozen=True, kw_only=True)
class ContainerImage:
    """Runs from a container image; `image_prefix` of cluster.yaml is put before `name`."""

    name: str
    version: str


@dataclass(frozen=True, kw_only=True)
class AptRepository:
    """An apt repository outside the distribution; the node refuses a signing key of another fingerprint.

    In `uri` and `suite`, `{distribution}` and `{codename}` stand for the node's `ID` and `VERSION_CODENAME`
    of /etc/os-release.
    """

    uri: str | Mapping[str, str]
    """One address, or one for each `{distribution}`."""
    suite: str
    section: str
    key: str
    """Where the armoured key lies: below `uri`, so that a mirror carries it along, or a URL."""
    fingerprint: str
    """The primary key's 40 hexadecimal digits."""


@dataclass(frozen=True, kw_only=True)
class AptPackages:
    """Runs from apt packages; `version` (a prefix such as 28.5) pins the first of them and holds them all.

    Without `repository` they come from the distribution, without `version` in whatever version it has, held
    only where a restart ends more than the component itself (`restart_ends`).
    """

    names: tuple[str, ...]
    version: str | None = None
    repository: AptRepository | None = None


Software = ContainerImage | AptPackages
Source = Literal["image", "apt", "preinstalled"]
"""Where software comes from; `preinstalled` is on the machine's image already: nothing is installed."""


@dataclass(frozen=True)
class Port:
    """A port or a range up to `last`, and who may reach it; with `reached_by` empty this node only."""

    name: str
    number: int
    reached_by: tuple[Role | Peer, ...]
    why: str
    protocol: Protocol = "tcp"
    on: tuple[Role, ...] | None = None
    """The roles of the component where the port is open; None is all of them."""
    to_containers: bool = False
    """True opens it to this node's own containers too, at Docker's bridge."""
    service: str | None = None
    """The name by which Consul lists what answers here: `registry` is registry.service.consul."""
    last: int | None = None
    """The last one of a range that begins with `number`."""
    metrics: str | None = None
    """The path at which Prometheus on the Consul nodes reads metrics, such as /metrics."""
    metrics_from: Source | None = None
    """The one source whose build has the metrics; None is every one."""
    from_sites: tuple[Role, ...] = ()
    """The roles of the cluster's other sites that may reach it through the links."""
    home_only: bool = False
    """True lets other sites' nodes reach it at the home site alone."""
    linked: bool = False
    """True opens it only where the cluster has several sites."""

    @property
    def range(self) -> str:
        """`22`, or `31000-32000`."""
        return str(self.number) if self.last in (None, self.number) else f"{self.number}-{self.last}"


@dataclass(frozen=True)
class File:
    """One file on the node: `template` below cloud-init/<component>/ put at `to`.

    A template that ends in .j2 is rendered, and puts no file where it renders to nothing; any other is copied
    as it is. `to` and `owner` may hold `{{ }}` expressions of the same context. When the content changes,
    `restarts` is the unit that is restarted and `reloads` one that is only told to read its files again, for
    a service that must survive a bad file, such as sshd. Directories above `to` that do not exist yet are
    made 0755 root:root.
    """

    template: str
    to: str
    mode: int = 0o644
    owner: str = "root"
    group: str = "root"
    restarts: str | None = None
    reloads: str | None = None
    live_keys: tuple[str, ...] = ()
    """Of a JSON object: a change of these alone, none of which goes away, reloads the unit of `restarts`."""
    on: tuple[Role, ...] | None = None
    """The roles of the component that get the file; None is all of them."""
    carried: bool = False
    """True has it travel with the nodes' program where that is not in user data, which has little room: for
    a long script that is copied as it is, and so the same on all nodes of a site.
    """


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A directory that has to exist with this owner before the component's units start."""

    path: str
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"
    on: tuple[Role, ...] | None = None
    """The roles of the component that get the directory; None is all of them."""


@dataclass(frozen=True, kw_only=True)
class SystemUser:
    """A system account of the node; `uid` is fixed where files on a kept data volume belong to it."""

    name: str
    uid: int


SecretKind = Literal[
    "password",
    "supplied",
    "ssh_host_key",
    "gossip_key",
    "token",
    "authority",
    "authority_certificate",
    "certificate",
    "wireguard_key",
    "wireguard_public_key",
]


@dataclass(frozen=True, kw_only=True)
class Secret:
    """A secret that the platform needs: its name in Terraform and in the lock, what it is, who reads it.

    Several components may declare one name, each for the nodes that it runs on: one value, several readers.
    `per_site` makes one for every site, named `<name>_<site>`. `password` is 32 random URL-safe characters;
    `ssh_host_key` an unencrypted OpenSSH ed25519 private key; `gossip_key` 32 random bytes in base64; `token`
    a random UUID. `authority` is a certificate authority: private key and certificate, for no role at all,
    since it signs where secrets are made and nowhere else. Of the authority that `signed_by` names,
    `authority_certificate` is the certificate alone, and `certificate` a private key and a certificate for
    `dns_names`. All of these are PEM texts. `wireguard_key` is 32 random bytes in base64, and
    `wireguard_public_key` the public half of the one that `signed_by` names. `supplied` is whatever its
    owner says, and never made.
    """

    name: str
    kind: SecretKind
    roles: tuple[Role, ...]
    to: str
    """The file on the node, mode 0600; nothing else on the node may hold it. `{site}` is the name of the site
    whose secret it is.
    """
    owner: str = "root"
    mode: int = 0o600
    """Only what is no secret may be read by others, a certificate alone, or what root's folder protects."""
    per_site: bool = False
    of_others: bool = False
    """With `per_site`: nodes read those of the other sites, and not their own site's."""
    signed_by: str | None = None
    dns_names: tuple[str, ...] = ()
    """Whom a certificate is for; `{site}` is the site's name, and this node itself is always added."""
    restarts: str | None = None
    reloads: str | None = None


@dataclass(frozen=True, kw_only=True)
class FourLetterWord:
    """Healthy when ZooKeeper answers `word` on `port` with one of `modes` in its `Mode:` line."""

    word: str
    port: str
    modes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class HttpOk:
    """Healthy when GET http://127.0.0.1:<port><path> answers 200 with `contains` in it."""

    port: str
    path: str
    contains: str = ""
    bearer: str = ""
    """A file on the node whose content is the bearer token of the request."""


@dataclass(frozen=True, kw_only=True)
class UnitActive:
    """Healthy when systemd says that the unit is active."""

    unit: str


@dataclass(frozen=True, kw_only=True)
class CommandSucceeds:
    """Healthy when the command ends with 0 within 5 seconds; else its last line says what is wrong."""

    command: tuple[str, ...]


Health = FourLetterWord | HttpOk | UnitActive | CommandSucceeds


@dataclass(frozen=True, kw_only=True)
class Backup:
    """State that is saved on the nodes that hold it, where cluster.yaml names a target in `platform_backup`.

    `template` below cloud-init/<component>/ is a script that is run as root with one of these:
    `copy DIR` puts a consistent copy into the empty DIR, below the data volume, and fails where there is
    nothing to save; `verify DIR` fails unless a copy is whole and readable; `ready [--force]` fails, and says
    what to do, while a restore would harm what is there; `put DIR` puts a verified copy in its place.
    It is copied as it is, and finds the image of its component, where it runs from one, in the variable
    `<COMPONENT>_IMAGE`.
    """

    template: str
    on: tuple[Role, ...] | None = None
    """The roles of the component that hold the state; None is all of them."""
    only_where: str = ""
    """A template expression such as `plan.name == plan.home`: only nodes for which it is true hold it."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """One piece of software on a node, declared once (see docs/adding-a-component.md)."""

    name: str
    summary: str
    roles: tuple[Role, ...]
    software: Software | None
    """None for a component that is only files, such as base."""
    first_node_only: bool = False
    """True runs it on the role's node number 1 alone, for what keeps its state on that node's volume."""
    optional: bool = False
    """Whether `software.<name>.enabled: false` leaves it out, with its ports and secrets."""
    linked: bool = False
    """True leaves it out, with its ports and secrets, where the cluster has one site."""
    saves: bool = False
    """True leaves it out, with its alerts, where cluster.yaml names no `platform_backup`."""
    only_where: str = ""
    """A template expression such as `pool.spec.shared`: the component is on nodes for which it is true."""
    also_runs_from: tuple[Source, ...] = ()
    """Other values that `software.<name>.source` may take."""
    apt_names: tuple[str, ...] = ()
    """Packages for `source: apt` of a component whose default is an image."""
    packages: tuple[str, ...] = ()
    """Distribution packages that its files and scripts need; each may hold `{{ }}` expressions."""
    ports: tuple[Port, ...] = ()
    files: tuple[File, ...] = ()
    directories: tuple[Directory, ...] = ()
    users: tuple[SystemUser, ...] = ()
    units: tuple[str, ...] = ()
    """Units that are enabled and started, in this order."""
    boot_units: tuple[str, ...] = ()
    """Units that are enabled only: the next boot starts them."""
    interface: str | None = None
    """The network interface that it makes; the node's firewall names it."""
    restart_ends: tuple[tuple[str, str], ...] = ()
    """Units whose restart ends more than themselves, each with what: ("docker.service", "all containers …").

    A change of the component's packages ends it too, so they are held whatever version they have. On agents,
    where it is somebody's tasks, `nodes apply` does it only when it is told to.
    """
    secrets: tuple[Secret, ...] = ()
    alerts: tuple[Alert, ...] = ()
    """When Prometheus calls somebody."""
    health: tuple[Health, ...] = ()
    leads: HttpOk | None = None
    """Of several nodes one leads, which answers so; a rollout changes it last, and the lead moves once."""
    ready_within: int = 300
    """Seconds that the node waits for `health` after starting the units, image downloads included."""
    state: str | None = None
    """The directory below the node's data volume that must outlive the machine, on roles that have it."""
    backup: Backup | None = None
    """What must outlive the data volume too, and how it comes back."""

    def keeps_state(self, role: Role) -> bool:
        """Whether nodes of `role` hold the component's state."""
        others = [d for d in self.directories if d.path == self.state and d.on and role not in d.on]
        return self.state is not None and not others

    def apt_packages(self, *, asked: bool) -> AptPackages:
        """What it is installed from: the distribution's own packages where it has no others, or where they
        are `asked` for by `source: apt` and there are any.
        """
        if isinstance(self.software, AptPackages) and not (asked and self.apt_names):
            return self.software
        return AptPackages(names=self.apt_names)

    def port(self, name: str) -> Port:
        """The declared port called `name`; SpecError when there is none."""
        for port in self.ports:
            if port.name == name:
                return port
        raise SpecError(f"components.{self.name}.port", name, f"one of {[p.name for p in self.ports]}")


@dataclass(frozen=True, kw_only=True)
class ResolvedSoftware:
    """A component's software after `software:` of cluster.yaml: what the node really installs."""

    source: Source | Literal["none"]
    version: str | None
    image: str | None = None
    """Whole image reference, prefix and tag included, for `source: image`."""
    packages: tuple[str, ...] = ()
    """Package names for `source: apt`; `version` pins them."""
    mirror: str | None = None
    fingerprint: str | None = None
    """Of the key that signs the repository or its mirror, where it is not the owner's known one."""
    sha256: str | None = None
    enabled: bool = True
    """False for an optional component that cluster.yaml leaves out."""
