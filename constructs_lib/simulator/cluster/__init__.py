"""The simulator: a small cluster in one process, whose tasks live, fail and end, behind the real APIs.

``with SimulatedCluster() as sim:`` opens Marathon's, Chronos' and Mesos' APIs; `sim.advance(seconds)`
lets time pass. docs/simulator.md says what it does and what it does not prove.
"""

from __future__ import annotations

from constructs_lib.simulator.cluster.agents import Agent, from_plan
from constructs_lib.simulator.cluster.cluster import SimulatedCluster
from constructs_lib.simulator.cluster.commands import Commands
from constructs_lib.simulator.cluster.faults import Fault
from constructs_lib.simulator.cluster.profiles import Profile
from constructs_lib.simulator.cluster.timeline import Clock, HandClock, RunningClock
from constructs_lib.simulator.cluster.usage import Use
from constructs_lib.simulator.cluster.world import Task

__all__ = [
    "Agent",
    "Clock",
    "Commands",
    "Fault",
    "HandClock",
    "Profile",
    "RunningClock",
    "SimulatedCluster",
    "Task",
    "Use",
    "from_plan",
]
