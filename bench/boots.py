"""How long a lab's cluster takes from power-on, beside the same machines with nothing to do."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from bench.report import machine, ratio, spread
from bench.rounds import Spread
from constructs_lib.errors import LabError
from constructs_lib.lab.image import image
from constructs_lib.lab.keeper import KeptLab, connect, end, launch
from constructs_lib.lab.overrides import read_overrides
from constructs_lib.simulator.programs import programs
from constructs_lib.spec.workspace import Workspace
from scripts.progress import ROOT, step

CLUSTER = ROOT / "tests" / "lab" / "cluster.yaml"
LONGEST = 600.0
BOUND = 3.0
ASK = 'exec 3<>/dev/tcp/127.0.0.1/2181; echo srvr >&3; grep -q "^Mode: leader" <&3'
TOLD = ("master-1", "consul-1", "general-1")
"""Nodes whose components are timed: one of each role that has many."""
LOG = ("journalctl", "--boot", "--output=short-unix", "--no-pager", "--unit=cloud-final")
SAID = re.compile(r"(?m)^(\d+\.\d+) .*clustermesos-apply: (.*)$")


@dataclass(frozen=True, kw_only=True)
class Boot:
    """One boot of all machines at once, in seconds since power-on; CPU seconds of each machine."""

    quorum: float
    """Until a master led the others; of bare machines the same as `complete`."""
    complete: float
    cpu: dict[str, float]
    slowest: str
    """What took longest inside a master, as cloud-init says."""
    components: dict[str, dict[str, float]] = field(default_factory=dict)
    """Node → component → seconds until it was healthy after what was healthy before it."""


@dataclass(frozen=True, kw_only=True)
class Boots:
    """Rounds of bare machines and of the cluster, in turn."""

    bare: list[Boot]
    cluster: list[Boot]
    load: float = field(default_factory=lambda: os.getloadavg()[0])
    """The computer's load average before the first boot."""

    def ratio(self, what: str) -> Spread:
        """Of the cluster to bare machines, round by round; `what` is quorum or complete."""
        pairs = zip(self.cluster, self.bare, strict=True)
        return Spread.of([getattr(ours, what) / bare.complete for ours, bare in pairs])

    @property
    def met(self) -> bool:
        """By the median."""
        return self.ratio("complete").middle <= BOUND


def play(rounds: int) -> Boots:
    """Boot both, in turn, `rounds` times; LabError where a machine does not come up."""
    image(print)
    boots = Boots(bare=[], cluster=[])
    for number in range(1, rounds + 1):
        with step(f"bare machines, round {number}"):
            boots.bare.append(_boot(bare=True))
        with step(f"the cluster, round {number}"):
            boots.cluster.append(_boot(bare=False))
    return boots


def _boot(*, bare: bool) -> Boot:
    folder = Path(tempfile.mkdtemp(prefix="clustermesos-"))
    workspace = Workspace(Path(shutil.copy(CLUSTER, folder)))
    process = launch(workspace, image(), tied=True, bare=bare)
    try:
        lab = connect(workspace)
        began = time.monotonic()
        lab.start()
        quorum = None if bare else _quorum(lab, began)
        complete = lab.wait_booted(LONGEST) if bare else _complete(lab, began)
        return Boot(
            quorum=quorum or complete,
            complete=complete,
            cpu={name: lab.cpu_seconds(name) for name in lab.names()},
            slowest="" if bare else lab.run("master-1", "cloud-init", "analyze", "blame").out,
            components={} if bare else {name: healthy_after(lab.run(name, *LOG).out) for name in TOLD},
        )
    finally:
        end(workspace, process)
        shutil.rmtree(folder)


def _quorum(lab: KeptLab, began: float) -> float:
    masters = [name for name in lab.names() if name.startswith("master")]
    while not any(_leads(lab, master) for master in masters):
        if time.monotonic() - began > LONGEST:
            lab.wait(0, *masters)
        time.sleep(0.5)
    return time.monotonic() - began


def _leads(lab: KeptLab, master: str) -> bool:
    try:
        return lab.run(master, "timeout", "5", "bash", "-c", ASK).code == 0
    except LabError:
        return False  # it has only just got power


def _complete(lab: KeptLab, began: float) -> float:
    lab.wait(LONGEST)
    return time.monotonic() - began


def lines(boots: Boots) -> Iterator[str]:
    """docs/boot-times.md."""
    rounds = len(boots.bare)
    yield "# Boot times"
    yield ""
    machines = f"{len(boots.bare[0].cpu)} machines of the lab powered on at once"
    yield f"Made by `make bench` on {date.today().isoformat()}: {machines}, the cluster of"
    yield f"`tests/lab/cluster.yaml` and bare machines of the same image in turn, {rounds} rounds."
    yield f"{machine()}. Load average before the first boot: {boots.load:.1f}."
    yield ""
    yield from not_as_on_a_cloud()
    yield ""
    yield "| from power-on | seconds: median (smallest … largest) | beside bare machines | bound | reached |"
    yield "|---|---|---|---|---|"
    yield f"| bare machines, cloud-init done on all | {spread(_of(boots.bare, 'complete'))} | | | |"
    for what, name in (
        ("quorum", "quorum of ZooKeeper"),
        ("complete", "cluster complete, every node healthy"),
    ):
        ratio_ = boots.ratio(what)
        reached = "yes" if ratio_.middle <= BOUND else "**no**"
        yield f"| {name} | {spread(_of(boots.cluster, what))} | {ratio(ratio_)} | ≤ {BOUND:g} | {reached} |"
    yield ""
    yield "## What dominates: processor time of each machine, last round"
    yield ""
    yield "| machine | bare, CPU seconds | in the cluster, CPU seconds |"
    yield "|---|---|---|"
    for name, used in boots.cluster[-1].cpu.items():
        yield f"| {name} | {boots.bare[-1].cpu[name]:.1f} | {used:.1f} |"
    ours, bare = (sum(one.cpu.values()) for one in (boots.cluster[-1], boots.bare[-1]))
    yield ""
    yield f"In all {ours:.1f} against {bare:.1f} CPU seconds, {ours / bare:.2f} times as much."
    yield f"All machines share {os.cpu_count()} cores, so a boot takes as many bare boots at least."
    yield ""
    yield "What took longest inside master-1, waiting for others included (`cloud-init analyze blame`):"
    yield ""
    yield "```text"
    yield from [line.strip() for line in boots.cluster[-1].slowest.splitlines() if "s (" in line][:6]
    yield "```"
    yield from _components(boots)


def healthy_after(log: str) -> dict[str, float]:
    """Component → seconds, in the order of a boot, by the journal of its first attempt (`short-unix`).

    The first one counts from the first line of clustermesos-apply on.
    """
    found: dict[str, float] = {}
    said = [(float(time_), text) for time_, text in SAID.findall(log)]
    before = said[0][0] if said else 0.0
    for now, text in said:
        component, ended, rest = text.partition(" is healthy")
        if ended and not rest:
            found[component] = now - before
            before = now
    return found


def not_as_on_a_cloud() -> Iterator[str]:
    """What the lab bends, as docs/drills.md says it."""
    yield "Not as on a cloud, on every machine of the cluster:"
    yield ""
    yield from (f"* {line}" for line in [*read_overrides().lines(), *(each.line for each in programs())])


def _components(boots: Boots) -> Iterator[str]:
    last = boots.cluster[-1].components
    if not any(last.values()):
        return
    yield ""
    yield "## Until each component was healthy, last round"
    yield ""
    yield "Seconds after what was healthy before it, or after the first line of `clustermesos-apply`, by each"
    yield "node's own journal; waiting for other machines is in it."
    yield ""
    yield "| node | component: seconds |"
    yield "|---|---|"
    for name, components in last.items():
        cells = ", ".join(f"{component} {seconds:.1f}" for component, seconds in components.items())
        yield f"| {name} | {cells} |"


def _of(boots: list[Boot], what: str) -> Spread:
    return Spread.of([getattr(boot, what) for boot in boots])
