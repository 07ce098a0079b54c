"""Rolls the nodes that have a planned address: one machine at a time, each by a plan that holds nothing
else.

Nothing is remembered between runs. A node is behind when replacing it would change what it is, so a roll
that was interrupted goes on with those that are left: docs/decisions/2026-11-25-roll.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from constructs_lib.access.machines import Kinds
from constructs_lib.components.model import Role
from constructs_lib.errors import RollError, ToolError
from constructs_lib.plan.addresses import planned_agents
from constructs_lib.plan.model import NodePlan
from constructs_lib.roll.gate import Gate, Machine, wait_until_healthy
from constructs_lib.roll.platform import rolling
from constructs_lib.roll.quorum import quorum, why_not
from constructs_lib.roll.reading import ReadPlan, Replacement, differences, half_done, judge
from constructs_lib.roll.site import Say, Site

VOTERS = (Role.MASTER, Role.CONSUL)
"""Roles whose nodes decide by quorum."""
PATIENCE_BEFORE = 15.0
"""Seconds that a node may take to be found healthy before anything changes: one lost packet refuses no
roll.
"""


@dataclass(kw_only=True)
class NodeRoll:
    """A roll of one role in one site, or of one pool whose agents have planned addresses.

    `only` names the node to replace, up to date or not; without it all that are behind are, and with
    `everyone` all. `confirm` is asked with what will happen, before anything does. `gate_timeout` is in
    seconds, for each node.
    """

    site: Site
    role: Role
    gate: Gate
    gate_timeout: float
    say: Say
    confirm: Callable[[str], bool]
    pool: str | None = None
    only: str | None = None
    everyone: bool = False
    dry_run: bool = False
    _addresses: dict[str, str] = field(default_factory=dict, init=False)
    """Node name → Terraform address of its machine."""
    _members: tuple[NodePlan, ...] = field(default=(), init=False)
    """Everyone of the role or the pool: what is asked for may be one of them, the gate asks all."""

    def run(self) -> tuple[str, ...]:
        """Roll, and return the names of the replaced nodes; RollError when refused, stopped or declined."""
        self.site.terraform.init()
        plan = self._plain_plan()
        self._members = self._members_by(plan)
        nodes = self._chosen()
        done: list[str] = []
        incomplete = self._incomplete(plan, nodes)
        if incomplete is not None:
            self.say(
                f"{incomplete.name} is incomplete: an earlier roll was interrupted, or its machine is gone"
            )
            self._all([incomplete], done)
            if self.dry_run:
                self.say("which others are behind is known once it is whole again")
                return ()
        behind = self._survey([node for node in nodes if node.name not in done])
        self._all(behind, done)
        if done:
            self.say(f"done: {', '.join(done)}")
        elif not behind:
            self.say("nothing to do: what was asked for is up to date")
        return tuple(done)

    @property
    def _kinds(self) -> Kinds:
        return rolling(self.site.plan.platform).KINDS

    def _members_by(self, plan: ReadPlan) -> tuple[NodePlan, ...]:
        """The nodes of the role, or the agents of the pool; of one between `min` and `max` those that the
        plan has a machine of, since nothing else knows how many there are.
        """
        site = self.site.plan
        if self.pool is None:
            return site.nodes_of(self.role)
        pool = site.pool(self.pool)
        agents = planned_agents(pool, site.zones)
        made = plan.machines(self._kinds)
        return tuple(agent for agent in agents if not pool.elastic or agent.name in made)

    @property
    def _machines(self) -> tuple[Machine, ...]:
        return self.site.machines_of(self._members)

    def _chosen(self) -> tuple[NodePlan, ...]:
        """What is asked for, of the members; RollError where that is nobody."""
        chosen = tuple(node for node in self._members if self.only in (None, node.name))
        if not chosen:
            what = f"agent of {self.pool}" if self.pool else self.role.value
            names = (
                ", ".join(node.name for node in self._members)
                or f"nothing: {self.site.plan.name} has no {what}"
            )
            raise RollError(f"--only: got {self.only!r}, expected one of {names}")
        return chosen

    def _plain_plan(self) -> ReadPlan:
        with self.site.plan_file() as file:
            return ReadPlan.of(self.site.terraform.plan(file))

    def _incomplete(self, plan: ReadPlan, nodes: Sequence[NodePlan]) -> NodePlan | None:
        """The node that a plain deploy would complete; RollError when anything else waits for a deploy."""
        names = [node.name for node in self._members]
        self._addresses = {name: plan.machine(self._kinds, name).address for name in names}
        found = half_done(plan, names, self._kinds)
        if found is None:
            return None
        for node in nodes:
            if node.name == found:
                return node
        raise RollError(f"{found} is incomplete and has to come first: --only {found}. Nothing was changed")

    def _survey(self, nodes: Sequence[NodePlan]) -> list[NodePlan]:
        """The nodes that are behind, each told with what is different."""
        behind = []
        differ = self._all_at_once(nodes) if self.pool else self._one_by_one(nodes)
        for node, found in differ:
            if found or self.only or self.everyone:
                behind.append(node)
                self.say(f"{node.name}: {'; '.join(found) or 'the same again, since it is asked for'}")
            else:
                self.say(f"{node.name}: up to date")
        return behind

    def _one_by_one(self, nodes: Sequence[NodePlan]) -> Iterator[tuple[NodePlan, tuple[str, ...]]]:
        """What differs, by a judged plan for each: what would refuse one later does before all."""
        for node in nodes:
            # The platform was asked about the whole stack just now, and is again before each apply.
            with self.site.plan_file() as file:
                yield node, self._planned(node, file, refresh=False).differences

    def _all_at_once(self, nodes: Sequence[NodePlan]) -> Iterator[tuple[NodePlan, tuple[str, ...]]]:
        """What differs, by one plan that replaces all and is never applied: a pool may have thousands."""
        replace = [self._addresses[node.name] for node in nodes]
        with self.site.plan_file() as file:
            plan = ReadPlan.of(self.site.terraform.plan(file, replace=replace, refresh=False))
        for node in nodes:
            yield node, differences(plan, node.name, self._kinds)

    def _all(self, behind: Sequence[NodePlan], done: list[str]) -> None:
        if not behind or self.dry_run:
            return
        if not self.confirm(self._question(behind)):
            raise RollError("not confirmed; nothing was changed")
        for node in behind:
            try:
                self._replace(node)
            except (ToolError, RollError) as error:
                raise RollError(f"{error}\n{self._how_to_go_on(node, done)}") from None
            except KeyboardInterrupt:
                self.say(self._how_to_go_on(node, done))
                raise
            done.append(node.name)

    def _question(self, behind: Sequence[NodePlan]) -> str:
        names = ", ".join(node.name for node in behind)
        members = len(self._machines)
        if members == 1:
            return f"Replace {names}? It is the only {self.role.value}: it is away until the new one runs."
        if self.role in VOTERS:
            return (
                f"Replace {names}, one at a time? Each time {members - 1} of {members} are left, "
                f"the quorum is {quorum(members)}."
            )
        return f"Replace {names}, one at a time?"

    def _replace(self, node: NodePlan) -> None:
        self._require_the_others(node)
        with self.site.plan_file() as file:
            found = self._planned(node, file)
            parts = "".join(f", with {part.address}" for part in found.parts)
            self.say(f"{node.name}: replacing {found.machine.address}{parts}")
            self.site.terraform.apply(file)
        self.site.refresh()
        self.say(
            f"{node.name}: replaced; waiting at most {self.gate_timeout:g} seconds for all to be healthy"
        )
        answers = wait_until_healthy(self.gate, self._machines, timeout=self.gate_timeout, say=self.say)
        wrong = [f"{name}: {trouble}" for name, trouble in answers.items() if trouble]
        if wrong:
            raise RollError(
                f"{node.name} was replaced, and after {self.gate_timeout:g} seconds not all are healthy:\n  "
                + "\n  ".join(wrong)
            )

    def _require_the_others(self, node: NodePlan) -> None:
        self.site.refresh()
        self.say(f"{node.name}: asking all {len(self._machines)} before anything changes")
        patience = min(PATIENCE_BEFORE, self.gate_timeout)
        answers = wait_until_healthy(self.gate, self._machines, timeout=patience, say=self.say)
        healthy = [name for name, trouble in answers.items() if trouble is None]
        reason = why_not(list(answers), healthy, node.name, votes=self.role in VOTERS)
        if reason:
            details = "\n".join(f"  {name}: {trouble}" for name, trouble in answers.items() if trouble)
            raise RollError(f"{node.name}: refused, since {reason}:\n{details}\n{node.name} was not touched")

    def _planned(self, node: NodePlan, file: Path, *, refresh: bool = True) -> Replacement:
        """The judged plan in `file`. What drifted elsewhere is told and left out: a roll repairs nothing
        on the way.
        """
        terraform, kinds, address = self.site.terraform, self._kinds, str(node.address)
        replace = [self._addresses[node.name]]
        if refresh:
            plan = ReadPlan.of(terraform.plan(file, replace=replace))
            repairs = plan.repairs(kinds)
            found = judge(plan, node.name, address, kinds, ignoring=repairs)
            if not repairs - {part.address for part in found.parts}:
                return found
            self.say(f"{node.name}: changed outside of Terraform and left alone: {_some(sorted(repairs))}")
        plan = ReadPlan.of(terraform.plan(file, replace=replace, refresh=False))
        return judge(plan, node.name, address, kinds)

    def _how_to_go_on(self, node: NodePlan, done: Sequence[str]) -> str:
        return (
            f"Stopped at {node.name}; done before: {', '.join(done) or 'none'}. Look at it: "
            f"ssh -F {self.site.ssh.folder.config} {node.name}.{self.site.plan.name}\n"
            "Run the same command again to go on with the nodes that are behind, or replace this one again "
            f"with --only {node.name}"
        )


def _some(names: Sequence[str]) -> str:
    """The first three, and how many more there are."""
    more = len(names) - 3
    return ", ".join(names[:3]) + (f" and {more} more" if more > 0 else "")
