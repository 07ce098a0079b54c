"""What a platform has to say for its nodes to be rolled: the module `constructs_lib.<platform>.rolling`."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Protocol, cast

from constructs_lib.access.deployed import Deployed
from constructs_lib.access.machines import Agent, Kinds
from constructs_lib.plan.model import SitePlan


class AgentGroup(Protocol):
    """A pool's machines, as the platform's own scaling knows them. Methods raise ToolError."""

    name: str

    def wanted(self) -> int:
        """How many machines the group is to have now."""

    def newest(self) -> str:
        """The version of the template that new machines are made from."""

    def agents(self) -> Sequence[Agent]:
        """The machines, oldest version first; those that are on their way out are left out."""

    def replace(self, agent: Agent) -> None:
        """Let this one go, whatever protects it, and have the group make a new one in its place."""


class Rolling(Protocol):
    """The platform's module."""

    KINDS: Kinds

    def agent_group(self, site: SitePlan, deployed: Deployed, pool: str) -> AgentGroup:
        """The machines of a pool; RollError where the pool is not deployed."""


def rolling(platform: str) -> Rolling:
    """The platform's module by its name, as synth finds its constructs."""
    return cast(Rolling, importlib.import_module(f"constructs_lib.{platform}.rolling"))
