"""Rolls a pool's agents, whose number a platform's own scaling keeps: one machine goes, its successor
comes, next.

Like the roll of planned nodes it remembers nothing: an agent is behind when it was made from an older
template than the newest, so an interrupted roll goes on with those that are left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from constructs_lib.access.machines import Agent
from constructs_lib.errors import RollError, ToolError
from constructs_lib.roll.gate import PAUSE_SECONDS, Gate, wait_until_healthy
from constructs_lib.roll.nodes import PATIENCE_BEFORE
from constructs_lib.roll.platform import AgentGroup
from constructs_lib.roll.site import Say, Site


@dataclass(frozen=True, kw_only=True)
class AgentRoll:
    """A roll of one pool in one site.

    `only` is the id of the machine to replace, `everyone` replaces those too that are up to date.
    `gate_timeout` is in seconds: for a successor to be in service, and again for it to be healthy.
    """

    site: Site
    group: AgentGroup
    gate: Gate
    gate_timeout: float
    say: Say
    confirm: Callable[[str], bool]
    only: str | None = None
    everyone: bool = False
    dry_run: bool = False
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def run(self) -> tuple[str, ...]:
        """Roll, and return the ids of the machines that went; RollError when refused, stopped or
        declined.
        """
        behind = self._behind()
        if not behind:
            self.say(f"nothing to do: all of {self.group.name} are of version {self.group.newest()}")
        if not behind or self.dry_run:
            return ()
        if not self.confirm(f"Replace {len(behind)} of {self.group.wanted()} agents, one at a time?"):
            raise RollError("not confirmed; nothing was changed")
        done: list[str] = []
        for agent in behind:
            try:
                self._replace(agent)
            except (ToolError, RollError) as error:
                raise RollError(f"{error}\n{self._how_to_go_on(agent, done)}") from None
            except KeyboardInterrupt:
                self.say(self._how_to_go_on(agent, done))
                raise
            done.append(agent.id)
        self.say(f"done: {', '.join(done)}")
        return tuple(done)

    def _behind(self) -> list[Agent]:
        agents, newest = self.group.agents(), self.group.newest()
        if self.only is not None and self.only not in [agent.id for agent in agents]:
            names = ", ".join(agent.id for agent in agents) or "none: the pool is empty"
            raise RollError(f"--only: got {self.only!r}, expected one of {names}")
        behind = []
        for agent in agents:
            what = (
                "up to date" if agent.current else f"version {agent.version or 'unknown'}, newest is {newest}"
            )
            self.say(f"{agent.id} {agent.address}: {what}")
            if agent.id == self.only or (self.only is None and (self.everyone or not agent.current)):
                behind.append(agent)
        return behind

    def _replace(self, agent: Agent) -> None:
        before = self.group.agents()
        if agent.id not in [other.id for other in before]:
            self.say(f"{agent.id}: gone already")
            return
        self._require_the_others(agent, before)
        self.say(f"{agent.id}: ending it")
        self.group.replace(agent)
        new = self._successors(agent, {other.id for other in before})
        self.say(f"{agent.id}: {', '.join(one.id for one in new)} came; asking whether all are healthy")
        self._all_healthy(agent)

    def _require_the_others(self, agent: Agent, agents: Sequence[Agent]) -> None:
        """Every other agent has to be in service, as many as wanted, and healthy."""
        others = [other for other in agents if other.id != agent.id]
        away = [other.id for other in others if not other.in_service]
        wanted = self.group.wanted()
        if away or len(agents) < wanted:
            raise RollError(
                f"{agent.id}: refused, since {len(others) - len(away)} of the pool's {wanted} agents are "
                "in service "
                f"without it, expected {wanted - 1}{': look at ' + ', '.join(away) if away else ''}"
            )
        wrong = self._ask(others, min(PATIENCE_BEFORE, self.gate_timeout))
        if wrong:
            raise RollError(
                f"{agent.id}: refused, since others are not healthy:\n{wrong}\nIt was not touched"
            )

    def _successors(self, agent: Agent, known: set[str]) -> list[Agent]:
        end = self.clock() + self.gate_timeout
        told = ""
        while True:
            agents, wanted = self.group.agents(), self.group.wanted()
            running = [other for other in agents if other.in_service and other.id != agent.id]
            new = [other for other in running if other.id not in known]
            state = f"{len(running)} of {wanted} in service"
            if state != told:
                self.say(f"  {state}")
                told = state
            if len(running) >= wanted and new:
                return self._of_the_newest(agent, new)
            if self.clock() >= end:
                raise RollError(
                    f"{agent.id} was ended, and no successor is in service after {self.gate_timeout:g} s "
                    f"({state}); the group's activity history says why"
                )
            self.sleep(PAUSE_SECONDS)

    def _of_the_newest(self, agent: Agent, new: list[Agent]) -> list[Agent]:
        old = [other for other in new if not other.current]
        if old:
            raise RollError(
                f"{agent.id} was ended, and {old[0].id} came of version {old[0].version or 'unknown'}, "
                f"not of the newest, {self.group.newest()}: the group does not use it; deploy: cdktf deploy"
            )
        return new

    def _all_healthy(self, agent: Agent) -> None:
        wrong = self._ask(self.group.agents(), self.gate_timeout)
        if wrong:
            raise RollError(
                f"{agent.id} was replaced, and after {self.gate_timeout:g} s not all are healthy:\n{wrong}"
            )

    def _ask(self, agents: Sequence[Agent], timeout: float) -> str:
        """What is wrong with them, a line each."""
        if not agents:
            return ""
        self.site.refresh({agent.id: agent.address for agent in agents})
        machines = [self.site.agent(agent) for agent in agents]
        answers = wait_until_healthy(
            self.gate, machines, timeout=timeout, say=self.say, clock=self.clock, sleep=self.sleep
        )
        return "\n".join(f"  {name}: {trouble}" for name, trouble in answers.items() if trouble)

    def _how_to_go_on(self, agent: Agent, done: Sequence[str]) -> str:
        return (
            f"Stopped at {agent.id}; done before: {', '.join(done) or 'none'}. "
            "Run the same command again to go on with the agents that are behind"
        )
