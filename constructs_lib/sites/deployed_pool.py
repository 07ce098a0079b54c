"""The machines of a pool whose agents Terraform keeps by name, for a roll."""

from __future__ import annotations

from collections.abc import Sequence

from constructs_lib.access.deployed import Deployed
from constructs_lib.access.machines import Agent
from constructs_lib.errors import RollError
from constructs_lib.plan.model import SitePlan


def agent_group(site: SitePlan, deployed: Deployed, pool: str) -> DeployedPool:
    """The machines of a pool; RollError where it is not deployed."""
    found = deployed.pools.get(pool)
    if found is None or found.agents is None:
        raise RollError(
            f"{pool}: no such pool is deployed in {site.name}, only {', '.join(deployed.pools) or 'none'}: "
            "cdktf deploy"
        )
    agents = [
        Agent(id=name, address=agent.address, current=True, in_service=True, version="")
        for name, agent in found.agents.items()
    ]
    return DeployedPool(pool, agents)


class DeployedPool:
    """A pool as Terraform made it: nothing scales it, so the deployed outputs know all of its machines."""

    def __init__(self, name: str, agents: Sequence[Agent]) -> None:
        self.name = name
        self._agents = tuple(agents)

    def wanted(self) -> int:
        """How many there are."""
        return len(self._agents)

    def agents(self) -> tuple[Agent, ...]:
        """All of them, in the order of their numbers."""
        return tuple(sorted(self._agents, key=lambda agent: (len(agent.id), agent.id)))

    def newest(self) -> str:
        """RollError: which agents are behind is known to Terraform alone."""
        raise self._by_terraform()

    def replace(self, agent: Agent) -> None:
        """RollError, as of `newest`."""
        raise self._by_terraform()

    def _by_terraform(self) -> RollError:
        return RollError(
            f"{self.name}: Terraform keeps its agents by name: clustermesos roll agents {self.name}"
        )
