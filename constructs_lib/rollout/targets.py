"""Which nodes are meant, and what each is to have."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from constructs_lib.access.deployed import Deployed
from constructs_lib.access.machines import Agent
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.nodes.generation import SecretSource
from constructs_lib.plan.model import PoolPlan, SitePlan
from constructs_lib.roll.gate import Machine
from constructs_lib.roll.platform import rolling
from constructs_lib.roll.site import Site
from constructs_lib.rollout.wanted import Generation, wanted

ORDER = (Role.CONSUL, Role.MASTER, Role.AGENT, Role.EDGE, Role.GATEWAY)
"""Those that others need come first; the gateway, through which all are reached, last."""
WORDS = {
    "masters": Role.MASTER,
    "consul": Role.CONSUL,
    "agents": Role.AGENT,
    "edges": Role.EDGE,
    "gateway": Role.GATEWAY,
}
"""What a role's nodes are called on the command line."""

ListAgents = Callable[[SitePlan, Deployed, str], Sequence[Agent]]
"""A pool's machines, as its platform knows them."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """A node that is deployed, in one site."""

    site: str
    name: str
    role: Role
    machine: Machine
    generation: Generation
    pool: str | None = None

    @property
    def rolled_by(self) -> str:
        """The command that replaces it, with the others of its role or pool."""
        word = next(word for word, role in WORDS.items() if role is self.role)
        return f"clustermesos roll {word}{f' {self.pool}' if self.pool else ''} --site {self.site}"

    def is_meant_by(self, word: str) -> bool:
        """A node's name, with or without its site, a role's plural, or a pool."""
        names = (self.name, f"{self.name}.{self.site}", self.pool)
        return word in names or WORDS.get(word) is self.role


def planned(site: Site, deployed: Deployed, source: SecretSource) -> tuple[Target, ...]:
    """The nodes with a planned address that are deployed, in the order in which they are changed."""
    machines = {machine.name: machine for role in ORDER for machine in site.machines(role)}
    return tuple(
        Target(
            site=site.plan.name,
            name=node.name,
            role=role,
            machine=machines[node.name],
            generation=wanted(site.plan, node, source, deployed.late_values),
        )
        for role in ORDER
        for node in site.plan.nodes_of(role)
        if node.name in deployed.nodes
    )


def agents(
    site: Site, deployed: Deployed, source: SecretSource, machines: Mapping[str, Sequence[Agent]]
) -> tuple[Target, ...]:
    """The agents that are there; `machines` gives them by pool. One without an address is still to come."""
    return tuple(
        Target(
            site=site.plan.name,
            name=agent.id,
            role=Role.AGENT,
            machine=site.agent(agent),
            generation=generation,
            pool=pool.name,
        )
        for pool in site.plan.pools
        for generation in [wanted(site.plan, pool, source, deployed.late_values)]
        for agent in machines.get(pool.name, ())
        if agent.address
    )


def list_agents(plan: SitePlan, deployed: Deployed, pool: str) -> Sequence[Agent]:
    """By the platform's own scaling."""
    return rolling(plan.platform).agent_group(plan, deployed, pool).agents()


def pools_to_list(plan: SitePlan, words: Sequence[str], known: Iterable[Target]) -> tuple[PoolPlan, ...]:
    """The pools whose machines have to be asked for: none where only planned nodes are named."""
    unknown = [word for word in words if not any(target.is_meant_by(word) for target in known)]
    if not words or any(word not in [pool.name for pool in plan.pools] for word in unknown):
        return plan.pools
    return tuple(pool for pool in plan.pools if pool.name in unknown)


def in_order(found: Iterable[Target]) -> tuple[Target, ...]:
    """By role, in the order in which nodes are changed; inside of a role as they came."""
    return tuple(sorted(found, key=lambda target: ORDER.index(target.role)))


def chosen(found: Sequence[Target], words: Sequence[str]) -> tuple[Target, ...]:
    """Those that `words` mean, all without any; SpecError for a word that means none or is ambiguous."""
    for word in words:
        meant = [target for target in found if target.is_meant_by(word)]
        if not meant:
            known = [*WORDS, *dict.fromkeys(t.pool for t in found if t.pool), *(t.name for t in found)]
            raise SpecError("nodes", word, f"one of {', '.join(dict.fromkeys(known))}")
        sites = {target.site for target in meant if target.name == word}
        if len(sites) > 1:
            raise SpecError("nodes", word, f"{' or '.join(f'{word}.{s}' for s in sorted(sites))}, or --site")
    return tuple(t for t in found if not words or any(t.is_meant_by(word) for word in words))
