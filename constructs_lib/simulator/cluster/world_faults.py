"""Faults that hit the simulated world itself: tasks, agents, offers, deployments, open ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.faults import Fault
from constructs_lib.simulator.cluster.profiles import Profile
from constructs_lib.simulator.cluster.world import Task, World

if TYPE_CHECKING:
    from constructs_lib.simulator.cluster.cluster import SimulatedCluster


class WorldFaults:
    """Lets them happen and takes them back."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._profiles: set[str] = set()
        self._maintained: set[str] = set()
        self._kinds: Mapping[str, Callable[[Fault], None]] = {
            "refused": self._refuse,
            "task_failure": self._fail,
            "crash_loop": self._crash,
            "never_healthy": self._sicken,
            "agent_lost": lambda fault: self._world.lose(self._world.agent(fault.target)),
            "agent_partitioned": self._partition,
            "agent_maintenance": self._maintain,
            "no_offers": self._starve,
            "deployment_stuck": self._stick,
            "framework_inactive": self._freeze,
        }

    @property
    def _world(self) -> World:
        return self._cluster.world

    def happen(self, fault: Fault) -> None:
        """Let a fault happen now."""
        self._kinds[fault.kind](fault)

    def heal(self) -> None:
        """Take back what can be."""
        for one in self._cluster.instances.values():
            one.open_all()
        for agent in self._world.agents.values():
            if agent.presence == "partitioned":
                self._world.heal(agent)
            agent.maintenance = agent.maintenance and agent.id not in self._maintained
        self._maintained.clear()
        for pattern in self._profiles:
            self._world.profiles.set(pattern, Profile())
        self._profiles.clear()
        for pattern in tuple(self._cluster.marathon.stuck):
            self._unstick(pattern)
        for framework in self._world.frameworks:
            framework.frozen = False
        self._offer_again()

    def _later(self, fault: Fault, do: Callable[[], None]) -> None:
        if fault.seconds is not None:
            self._cluster.timeline.after(fault.seconds, do)

    def _refuse(self, fault: Fault) -> None:
        for name, instances in self._cluster.instances.items():
            if fnmatchcase(name, fault.program):
                for number in range(len(instances.ports)):
                    if fault.instance in (None, number):
                        instances.close(number, fault.seconds)

    def _of(self, fault: Fault) -> list[Task]:
        return [task for task in self._cluster.tasks() if fnmatchcase(task.owner, fault.target)]

    def _fail(self, fault: Fault) -> None:
        for task in self._of(fault):
            self._world.exit(task, 1 if fault.status is None else fault.status)

    def _live(self, fault: Fault, life: Callable[[Profile], Profile]) -> None:
        usual = self._world.profiles.of(fault.target)
        self._profiles.add(fault.target)
        self._world.profiles.set(fault.target, life(usual))
        self._later(fault, lambda: self._world.profiles.set(fault.target, usual))

    def _crash(self, fault: Fault) -> None:
        self._live(fault, lambda usual: replace(usual, fails_after=0.1))
        self._fail(fault)

    def _sicken(self, fault: Fault) -> None:
        self._live(fault, lambda usual: replace(usual, healthy_after=None))

    def _partition(self, fault: Fault) -> None:
        agent = self._world.agent(fault.target)
        self._world.partition(agent)
        self._later(fault, lambda: self._world.heal(agent) if agent.presence == "partitioned" else None)

    def _maintain(self, fault: Fault) -> None:
        agent = self._world.agent(fault.target)
        agent.maintenance = True
        self._maintained.add(agent.id)
        self._world.changed()
        self._later(fault, lambda: self._maintained_no_more(agent))

    def _maintained_no_more(self, agent: Agent) -> None:
        agent.maintenance = False
        self._world.changed()

    def _starve(self, fault: Fault) -> None:
        self._world.offering = False
        self._later(fault, self._offer_again)

    def _offer_again(self) -> None:
        self._world.offering = True
        self._world.changed()

    def _stick(self, fault: Fault) -> None:
        self._cluster.marathon.stuck.add(fault.target)
        self._later(fault, lambda: self._unstick(fault.target))

    def _unstick(self, pattern: str) -> None:
        self._cluster.marathon.stuck.discard(pattern)
        for deployment in self._cluster.marathon.deployments.values():
            for app in deployment.affected:
                self._cluster.marathon.touch(app)

    def _freeze(self, fault: Fault) -> None:
        for framework in self._world.frameworks:
            if fnmatchcase(framework.name, fault.program):
                framework.frozen = True
                self._later(fault, lambda: self._thaw(fault))

    def _thaw(self, fault: Fault) -> None:
        for framework in self._world.frameworks:
            if fnmatchcase(framework.name, fault.program):
                framework.frozen = False
        self._world.changed()
