"""Where the platform's programs answer, and the way there: straight, or through the gateway.

Addresses are the planned ones, which are also those by which the programs call each other in redirects.
Agents' addresses are in no plan: the way there is opened once Mesos has said them.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from constructs_lib.access.forward import Forwards, Port, forwarded
from constructs_lib.access.ssh import Ssh
from constructs_lib.components.chronos import CHRONOS
from constructs_lib.components.consul import CONSUL
from constructs_lib.components.marathon import MARATHON
from constructs_lib.components.mesos_master import MESOS_MASTER
from constructs_lib.components.model import Component, Role
from constructs_lib.components.nginx import NGINX
from constructs_lib.components.prometheus import PROMETHEUS
from constructs_lib.components.registry import REGISTRY
from constructs_lib.components.zookeeper import ZOOKEEPER
from constructs_lib.errors import HookError
from constructs_lib.hooks.http import Target
from constructs_lib.plan.model import ClusterPlan, NodePlan, SitePlan


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One running copy of a program: on which node, and its `host:port`."""

    node: str
    site: str
    address: str
    port: int

    @property
    def where(self) -> str:
        """`10.20.0.20:8080`."""
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Ways:
    """How instances are reached that aren't reached straight, by their `host:port`."""

    sockets: Mapping[str, Path] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    """Why the way there could not be opened."""
    bases: Mapping[str, str] = field(default_factory=dict)
    """The URL in place of http://HOST:PORT."""


Opens = Callable[[Sequence[Instance]], AbstractContextManager[Ways]]
"""Opens ways to instances that no plan has, for as long as the context lasts."""


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """Program → its instances, and the sockets that lead to those that aren't reached straight.

    Programs are called zookeeper, mesos, marathon, chronos, registry (its health) and registry-login (where
    images are pulled), and for each site consul/SITE, prometheus/SITE, edge/SITE and front/SITE. Agents are
    in no plan: Mesos' masters know them.
    """

    instances: Mapping[str, tuple[Instance, ...]]
    sockets: Mapping[str, Path] = field(default_factory=dict)
    lost: Mapping[str, str] = field(default_factory=dict)
    """`host:port` → why the way there could not be opened."""
    bases: Mapping[str, str] = field(default_factory=dict)
    """`host:port` → the URL in its place."""
    simulator: bool = False
    """True where a simulator answers: every table says so."""
    opens: Opens | None = field(default=None, repr=False, compare=False)
    """None where every address is reached straight."""

    def has(self, program: str) -> bool:
        """Whether the platform runs it at all."""
        return bool(self.instances.get(program))

    def target(self, program: str, *, scheme: str = "http") -> Target:
        """All instances of a program, for a client; its errors name the site where several have one."""
        found = self.instances[program]
        name, slash, site = program.partition("/")
        if slash and sum(other.startswith(name + slash) for other in self.instances) > 1:
            name = f"{name} of {site}"
        return Target(
            name=name,
            bases=tuple(f"{scheme}://{one.where}" for one in found),
            sockets=self.sockets,
        )

    def one(self, program: str, instance: Instance) -> Target:
        """One instance alone, named after its node, for what each says of itself."""
        return Target(
            name=f"{program.partition('/')[0]} on {instance.node}",
            bases=(self.bases.get(instance.where, f"http://{instance.where}"),),
            sockets=self.sockets,
        )

    @contextmanager
    def reaching(self, instances: Sequence[Instance]) -> Iterator[Endpoints]:
        """The way to these alone, such as agents of a pool that grows; HookError where a gateway can't be
        entered."""
        if self.opens is None:
            yield self
            return
        with self.opens(instances) as ways:
            yield replace(self, sockets=ways.sockets, lost=ways.lost, bases=ways.bases)

    def connect(self, instance: Instance, seconds: float) -> socket.socket:
        """A connection to an instance that does not speak HTTP; OSError."""
        path = self.sockets.get(instance.where)
        if path is None:
            return socket.create_connection((instance.address, instance.port), timeout=seconds)
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
        except OSError:
            connection.close()
            raise
        return connection


_ON_MASTERS: Mapping[str, tuple[Component, str]] = {
    "zookeeper": (ZOOKEEPER, "client"),
    "mesos": (MESOS_MASTER, "http"),
    "marathon": (MARATHON, "http"),
    "chronos": (CHRONOS, "http"),
}
FRONT = "front/"
"""Begins the name of a site's edges where visitors ask them; `edge/` where hooks do."""
_BY_SITE: Mapping[str, tuple[Component, str, Role]] = {
    "consul/": (CONSUL, "http", Role.CONSUL),
    "prometheus/": (PROMETHEUS, "http", Role.CONSUL),
    "edge/": (NGINX, "state", Role.EDGE),
    FRONT: (NGINX, "http", Role.EDGE),
}
LOGIN = "registry-login"
"""The registry where nodes log in and pull images."""
_OF_THE_REGISTRY = {"registry": "metrics", LOGIN: "https"}
_LOOPBACK = "127.0.0.1"
_NOWHERE = Path("/nonexistent")
"""Where a lost port's socket would be: connecting fails at once."""


def planned(plan: ClusterPlan) -> Mapping[str, tuple[Instance, ...]]:
    """The instances that a plan has."""
    home = plan.site(next(iter(plan.sites.values())).home)
    found = {
        program: _on(home, home.nodes_of(Role.MASTER), component, port)
        for program, (component, port) in _ON_MASTERS.items()
        if home.has(component)
    }
    for site in plan.sites.values():
        for prefix, (component, port, role) in _BY_SITE.items():
            found[prefix + site.name] = _on(site, site.nodes_of(role), component, port)
    for program, port in _OF_THE_REGISTRY.items():
        found[program] = _on(home, home.nodes_of(Role.CONSUL)[:1], REGISTRY, port)
    return {program: instances for program, instances in found.items() if instances}


def _on(site: SitePlan, nodes: Sequence[NodePlan], component: Component, port: str) -> tuple[Instance, ...]:
    number = component.port(port).number
    return tuple(
        Instance(node=node.name, site=site.name, address=str(node.address), port=number) for node in nodes
    )


@contextmanager
def through_gateways(plan: ClusterPlan, ssh: Ssh) -> Iterator[Endpoints]:
    """The planned instances, each through its site's gateway; HookError where the home site's can't be
    entered. Of another site that can't, everything is lost, and whoever asks hears why.

    What the gateway may reach it reaches itself; what answers on its own node alone is asked there.
    """

    @contextmanager
    def opens(more: Sequence[Instance]) -> Iterator[Ways]:
        ports = {one.where: Port(_gateway(plan.site(one.site)), one.address, one.port) for one in more}
        with forwarded(ssh, list(ports.values())) as forwards:
            yield _ways(ports, forwards)

    instances = planned(plan)
    home = next(iter(plan.sites.values())).home
    everything = [(program, one) for program, found in instances.items() for one in found]
    ports = {one.where: _way(program, one, plan.site(one.site)) for program, one in everything}
    with forwarded(ssh, list(ports.values())) as forwards:
        for login, trouble in forwards.lost.items():
            if login == _gateway(plan.site(home)):
                raise HookError(f"{login}: {trouble}")
        ways = _ways(ports, forwards)
        yield Endpoints(instances=instances, sockets=ways.sockets, lost=ways.lost, opens=opens)


def _ways(ports: Mapping[str, Port], forwards: Forwards) -> Ways:
    return Ways(
        sockets={where: forwards.sockets.get(port, _NOWHERE) for where, port in ports.items()},
        lost={
            where: forwards.lost[port.login] for where, port in ports.items() if port.login in forwards.lost
        },
    )


def _gateway(site: SitePlan) -> str:
    return f"{site.nodes_of(Role.GATEWAY)[0].name}.{site.name}"


def _way(program: str, instance: Instance, site: SitePlan) -> Port:
    component, name = _declared(program)
    if Role.GATEWAY in component.port(name).reached_by:
        return Port(_gateway(site), instance.address, instance.port)
    return Port(f"{instance.node}.{instance.site}", _LOOPBACK, instance.port)


def _declared(program: str) -> tuple[Component, str]:
    prefix, slash, _ = program.partition("/")
    if slash:
        component, port, _role = _BY_SITE[prefix + slash]
        return component, port
    if program in _OF_THE_REGISTRY:
        return REGISTRY, _OF_THE_REGISTRY[program]
    return _ON_MASTERS[program]
