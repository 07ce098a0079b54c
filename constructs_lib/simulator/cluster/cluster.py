"""A small Mesos cluster in this process, with Marathon's, Chronos' and Mesos' HTTP APIs on loopback ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from constructs_lib.contracts.compiled import Compiled
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.simulator.cluster.agents import Agent, default_agents, from_plan, home_region
from constructs_lib.simulator.cluster.agents_api import AgentsApi
from constructs_lib.simulator.cluster.chronos import Chronos
from constructs_lib.simulator.cluster.chronos_front import PREFIXES, ChronosFront
from constructs_lib.simulator.cluster.commands import Commands
from constructs_lib.simulator.cluster.control import Control
from constructs_lib.simulator.cluster.deploying import deploy
from constructs_lib.simulator.cluster.faults import OF_ANSWERS, Fault, Faults
from constructs_lib.simulator.cluster.instances import Instances
from constructs_lib.simulator.cluster.jobs import Run
from constructs_lib.simulator.cluster.marathon import MOST_DEPLOYMENTS, Marathon
from constructs_lib.simulator.cluster.marathon_front import MarathonFront
from constructs_lib.simulator.cluster.mesos_api import MesosApi
from constructs_lib.simulator.cluster.profiles import Profile
from constructs_lib.simulator.cluster.registering import Registering
from constructs_lib.simulator.cluster.serving import TaskServers, on_loopback
from constructs_lib.simulator.cluster.state_file import StateFile
from constructs_lib.simulator.cluster.timeline import Clock, HandClock, Timeline
from constructs_lib.simulator.cluster.usage import Usage, Use
from constructs_lib.simulator.cluster.world import Task, World
from constructs_lib.simulator.cluster.world_faults import WorldFaults
from constructs_lib.simulator.double import CHRONOS_VERSION
from constructs_lib.simulator.web import Answer

AGENTS = "agents"
"""The program of which there is one instance, which answers for every agent."""


class SimulatedCluster:
    """Agents, and the three APIs over them; a context manager that closes its ports at the end.

    Attributes:
        world: agents and tasks.
        marathon: the scheduler behind Marathon's API.
        chronos: the one behind Chronos'.
        chronos_prefix: where Chronos' paths begin.
        instances: program → its ports, and which of them leads; `agents` has one for all agents.
        usage: what tasks use of processors and memory.
    """

    def __init__(
        self,
        agents: Sequence[Agent] | None = None,
        *,
        clock: Clock | None = None,
        masters: int = 1,
        region: str | None = "eu",
        login: str | None = None,
        max_deployments: int = MOST_DEPLOYMENTS,
        chronos_version: str = "3",
        commands: Commands | None = None,
        serve: bool = False,
        consul: str | Mapping[str, str] | None = None,
        consul_token: str | None = None,
        state: Path | None = None,
        host: str = "127.0.0.1",
        ports: Mapping[str, Sequence[int]] | None = None,
        seed: int = 1,
    ) -> None:
        """Make it; nothing answers before `start`, or before the `with` block.

        Args:
            agents: what there is to run tasks on; without them, three of 4 CPUs and 8 GiB.
            clock: a `HandClock` (the default) that `advance` turns, or a `RunningClock`.
            masters: how many instances of each program there are.
            region: the masters' own: agents of another one get only what asks for a region.
            login: `user:password` that Marathon and Chronos ask for.
            max_deployments: how many may run at once.
            chronos_version: 3, whose paths begin with /v1/scheduler/, or 2, without /v1.
            commands: where and with what jobs' commands are run for real; without it they are not.
            serve: whether tasks are real HTTP servers; agents then have addresses of 127.0.0.0/8 as names.
            consul: the URL of a real Consul agent, or region → URL, where tasks are registered; implies
                `serve`.
            consul_token: what may register services there.
            state: a JSON file that apps, tasks and jobs survive in; SimulatorError where it is no such file.
            host: the address to listen on.
            ports: program → a port for each instance; without it, free ones.
            seed: what ids and failing tasks are drawn from.
        """
        self.timeline = Timeline(clock or HandClock())
        there = [agent.unused() for agent in (default_agents() if agents is None else agents)]
        if serve or consul:
            on_loopback(there)
        self.world = World(self.timeline, there, region=region, seed=seed)
        self._servers = TaskServers(self.world) if serve or consul else None
        self._registering = Registering(self.world, consul, consul_token) if consul else None
        self.usage = Usage(self.world.now)
        for watcher in (self.usage, self._servers, self._registering):
            if watcher is not None:
                self.world.watchers.append(watcher.watch)
        self.faults = Faults()
        self.instances: dict[str, Instances] = {}
        self._state: StateFile | None = None
        self._front = MarathonFront(self.world, lambda: self.instances["marathon"], max_deployments)
        self.marathon: Marathon = self._front.marathon
        self.chronos = Chronos(self.world, commands)
        self.chronos_prefix = PREFIXES.get(chronos_version, "")
        self._jobs = ChronosFront(self.chronos, lambda: self.instances["chronos"], chronos_version)
        self.world.frameworks += [self.marathon, self.chronos]
        self.mesos = MesosApi(self.world, self._frameworks, lambda: self.instances["mesos"].leading)
        self._agents = AgentsApi(self.world, self.usage, self._framework_id)
        self._world_faults = WorldFaults(self)
        control = Control(self).answer
        answers: dict[str, Callable[..., Answer]] = {
            "mesos": lambda q, n: self.mesos.answer(q, self.instances["mesos"].addresses[n]),
            "marathon": self._front.answer,
            "chronos": self._jobs.answer,
            AGENTS: self._agents.answer,
        }
        new_leader = {"marathon": self._front.new_leader, "mesos": self.mesos.new_leader}
        try:
            for program, answer in answers.items():
                self.instances[program] = Instances(
                    program,
                    count=1 if program == AGENTS else masters,
                    timeline=self.timeline,
                    faults=self.faults,
                    answer=answer,
                    control=control,
                    login=login if program in ("marathon", "chronos") else None,
                    host=host,
                    ports=tuple(ports[program]) if ports and program in ports else None,
                    on_change=self._changed,
                    on_new_leader=new_leader.get(program, lambda: None),
                )
            self._state = StateFile(state, self) if state else None
            if self._state is not None:
                self._state.read()
        except Exception:
            self._close()
            raise

    @classmethod
    def of_plan(cls, plan: ClusterPlan, counts: Mapping[str, int] | None = None, **options: Any) -> Self:
        """A cluster with the agents of a plan's pools, and as many masters.

        Args:
            plan: of a cluster.yaml.
            counts: pool → how many agents instead of the pool's own number.
            options: as above.
        """
        home = plan.site(home_region(plan))
        options = {"region": home.name, "masters": max(1, len(home.masters)), **options}
        return cls(from_plan(plan, counts), **options)

    def start(self) -> None:
        """Open the ports, and let time run where the clock does."""
        if self._registering is not None:
            self._registering.start()
        if self._state is not None:
            self._state.start()
            self.world.watchers.append(lambda _task: self._changed())
        self.timeline.start()
        for one in self.instances.values():
            one.start()

    def stop(self) -> None:
        """Close the ports; all tasks are gone."""
        self._close()
        self.timeline.stop()
        if self._state is not None:
            self._state.stop()
        if self._servers is not None:
            self._servers.stop()
        if self._registering is not None:
            self._registering.stop()

    def _changed(self) -> None:
        if self._state is not None:
            self._state.changed()

    def _close(self) -> None:
        for one in self.instances.values():
            one.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self._close()
            self.timeline.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def urls(self, program: str) -> tuple[str, ...]:
        """`http://127.0.0.1:PORT` of each instance of mesos, marathon, chronos or agents."""
        return tuple(f"http://{address}" for address in self.instances[program].addresses)

    @property
    def mesos_url(self) -> str:
        """The first master's URL."""
        return self.urls("mesos")[0]

    @property
    def marathon_url(self) -> str:
        """The first Marathon's URL."""
        return self.urls("marathon")[0]

    @property
    def chronos_url(self) -> str:
        """The first Chronos' URL."""
        return self.urls("chronos")[0]

    def now(self) -> float:
        """The simulated time, in seconds since 1970."""
        return self.timeline.now()

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on a clock that is turned by hand, with all that happens in them."""
        self.timeline.advance(seconds)

    def profile(self, pattern: str, profile: Profile) -> None:
        """Say how tasks of apps or jobs whose name fits `pattern` live, from the next one on."""
        with self.timeline.lock:
            self.world.profiles.set(pattern, profile)

    def use(self, pattern: str, use: Use) -> None:
        """Say what tasks of apps or jobs whose name fits `pattern` use from now on."""
        with self.timeline.lock:
            self.usage.set(pattern, use)

    def inject(self, fault: Fault) -> None:
        """Let a fault happen: at once, or to the next answers that fit it.

        Raises:
            KeyError: there is no agent or program of that name.
        """
        with self.timeline.lock:
            if fault.kind in OF_ANSWERS:
                self.faults.add(fault, self.now())
            else:
                self._world_faults.happen(fault)

    def heal(self) -> None:
        """Take back every fault that can be: not what died of it."""
        with self.timeline.lock:
            self.faults.clear()
            self._world_faults.heal()

    def change_leader(self, program: str, seconds: float = 0.0) -> None:
        """Let another instance of a program lead, after an election of `seconds`."""
        with self.timeline.lock:
            self.instances[program].change_leader(seconds)

    def tasks(self, owner: str = "*") -> list[Task]:
        """The tasks that have not ended, of apps and jobs whose name fits `owner`, such as `/shop/*`."""
        with self.timeline.lock:
            return [task for task in self.world.tasks.values() if fnmatchcase(task.owner, owner)]

    def healthy(self, owner: str) -> int:
        """How many tasks of apps that fit `owner` run, and pass their health check where they have one."""
        with self.timeline.lock:
            apps = [app for app in self.marathon.apps.values() if fnmatchcase(app.id, owner)]
            return sum(app.is_happy(task) for app in apps for task in self.marathon.tasks_of(app.id))

    def runs(self, job: str) -> list[Run]:
        """The runs of a job that have ended, the oldest first; none of a job that there is not."""
        with self.timeline.lock:
            return list(self.chronos.jobs[job].history) if job in self.chronos.jobs else []

    def deploy(self, compiled: Compiled) -> None:
        """Put what contracts compile to, at once and without strategies; SimulatorError where it is refused.

        The ports have to be open. `clustermesos apply` is what waits, drains and turns round.
        """
        deploy(self, compiled)

    def _framework_id(self, name: str) -> str:
        return self.marathon.framework_id if name == self.marathon.name else self.chronos.framework_id

    def _frameworks(self) -> list[dict[str, Any]]:
        names = {"marathon": "marathon", "chronos": f"chronos-{CHRONOS_VERSION}"}
        return [
            {
                "kind": one.name,
                "id": one.framework_id,
                "name": names[one.name],
                "hostname": self.instances[one.name].leading,
                "url": f"http://{self.instances[one.name].leading}",
                "principal": one.name,
                "active": not one.frozen,
            }
            for one in (self.marathon, self.chronos)
        ]
