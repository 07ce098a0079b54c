"""The APIs of one platform within one deadline: a client per program, made when it is first asked for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import cached_property
from types import TracebackType

from constructs_lib.components.consul import CONSUL
from constructs_lib.errors import HookError
from constructs_lib.hooks.checks import look
from constructs_lib.hooks.chronos import Chronos
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import REAL, Deadline
from constructs_lib.hooks.endpoints import Endpoints
from constructs_lib.hooks.finding import Expected, Finding, Login
from constructs_lib.hooks.hopeless import Placements
from constructs_lib.hooks.http import Client
from constructs_lib.hooks.marathon import Marathon
from constructs_lib.hooks.mesos import Mesos
from constructs_lib.hooks.patience import Patience
from constructs_lib.hooks.prometheus import Prometheus
from constructs_lib.plan.model import ClusterPlan

TOKEN = "consul_management_token"  # noqa: S105 (its name)
"""The secret, one for every site, that lets the hooks into Consul."""


class Platform:
    """`with Platform(…) as platform:` closes all connections at its end.

    `tokens` gives each site's Consul token, `login` the registry's, where it is known; `patience` is for each
    program that does not answer. A program
    that the platform does not run is a HookError when it is asked for.
    """

    def __init__(
        self,
        plan: ClusterPlan,
        endpoints: Endpoints,
        deadline: Deadline,
        tokens: Mapping[str, str],
        patience: Patience | None = None,
        *,
        login: Login | None = None,
    ) -> None:
        self.plan = plan
        self.endpoints = endpoints
        self.deadline = deadline
        self.tokens = tokens
        self.login = login
        self.patience = patience or Patience()
        self.clients: list[Client] = []
        self._stack = ExitStack()

    def __enter__(self) -> Platform:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @cached_property
    def marathon(self) -> Marathon:
        """Marathon of the home site."""
        return Marathon(self._client("marathon"))

    @cached_property
    def chronos(self) -> Chronos:
        """Chronos of the home site."""
        return Chronos(self._client("chronos"))

    @cached_property
    def mesos(self) -> Mesos:
        """The Mesos masters of the home site."""
        return Mesos(self._client("mesos"))

    @cached_property
    def consuls(self) -> Mapping[str, Consul]:
        """Site → its Consul; empty where there is none. Those of other sites are not waited for for long."""
        return self._consuls(self.deadline)

    def consuls_within(self, seconds: float) -> Mapping[str, Consul]:
        """As `consuls`, given up after so long: for whoever can say something without them."""
        return self._consuls(self.deadline.within(seconds))

    def _consuls(self, deadline: Deadline) -> Mapping[str, Consul]:
        away = self.patience.elsewhere()
        return {
            site: Consul(
                self._client(
                    f"consul/{site}", deadline=deadline, patience=None if site == self.home else away
                ),
                self.tokens.get(site),
            )
            for site in self.plan.sites
            if self.endpoints.has(f"consul/{site}")
        }

    @cached_property
    def prometheuses(self) -> Mapping[str, Prometheus]:
        """Site → its Prometheus, which is asked once per question: whoever asks comes back."""
        return {
            site: Prometheus(self._client(f"prometheus/{site}", patient=False))
            for site in self.plan.sites
            if self.endpoints.has(f"prometheus/{site}")
        }

    @cached_property
    def placements(self) -> Placements | None:
        """Who knows whether there is an agent at all for what is missing; None without Mesos masters."""
        if not self.endpoints.has("mesos"):
            return None
        return Placements(mesos=Mesos(self._client("mesos", patient=False)), home=self.home)

    def witnesses(self, seconds: float) -> tuple[Marathon, Mesos]:
        """Marathon and Mesos for one question that may take so long from now on, asked without patience.

        They answer even where the run's own time is over: somebody wants to know what it was waiting for.
        """
        for one in self._witnesses:
            one.client.deadline = Deadline(seconds, self.deadline.clock)
        return self._witnesses

    @cached_property
    def _witnesses(self) -> tuple[Marathon, Mesos]:
        marathon, mesos = (self._client(program, patient=False) for program in ("marathon", "mesos"))
        return Marathon(marathon), Mesos(mesos)

    def another_consul(self) -> Consul | None:
        """The home site's once more, with a connection of its own, for another thread; None without one."""
        program = f"consul/{self.home}"
        if not self.endpoints.has(program):
            return None
        return Consul(self._client(program, patient=False), self.tokens.get(self.home))

    @property
    def home(self) -> str:
        """The site with the masters, and so the masters' Mesos region."""
        return next(iter(self.plan.sites.values())).home

    def now(self) -> float:
        """The time, in seconds since 1970; a simulator's own, which may be turned by hand."""
        if not self.endpoints.simulator:
            return time.time()
        told = self.chronos.client.get("/simulator").body["time"]
        return datetime.fromisoformat(str(told).replace("Z", "+00:00")).timestamp()

    @property
    def requests(self) -> int:
        """How many requests were sent so far."""
        return sum(client.requests for client in self.clients)

    def look(self) -> tuple[Finding, ...]:
        """Ask every program once how it is."""
        return look(self.endpoints, self.expected, self.deadline)

    @property
    def expected(self) -> Expected:
        """What checks ask for."""
        return expected(self.plan, self.tokens, self.login)

    def _client(
        self,
        program: str,
        *,
        patient: bool = True,
        deadline: Deadline | None = None,
        patience: Patience | None = None,
    ) -> Client:
        if not self.endpoints.has(program):
            raise HookError(f"{program}: the cluster has none (software.{program}.enabled in cluster.yaml)")
        client = Client(
            self.endpoints.target(program),
            deadline or self.deadline,
            patient=patient,
            patience=patience or self.patience,
        )
        self._stack.callback(client.close)
        self.clients.append(client)
        return client


def expected(plan: ClusterPlan, tokens: Mapping[str, str], login: Login | None = None) -> Expected:
    """What checks ask for: of each site's pools as many agents as they have at least, and all other nodes."""
    sites = plan.sites.values()
    return Expected(
        home=next(iter(sites)).home,
        pools={(site.name, pool.name): pool.min for site in sites for pool in site.pools},
        members={
            site.name: tuple(node.name for node in site.nodes if node.role in CONSUL.roles) for site in sites
        },
        tokens=tokens,
        login=login,
    )


def time_of(platform: Platform) -> Callable[[], float]:
    """The time of day, which what is kept has, since another process reads it; tests' clocks are both."""
    clock = platform.deadline.clock
    return time.time if clock is REAL else clock.now
