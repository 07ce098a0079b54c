"""This library alone, on every platform and on two at once, beside the same cluster on AWS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from bench.contenders import Contender, ours
from bench.environments import BENCH
from bench.rounds import Results, play

CLUSTERS = BENCH / "clusters"
"""A cluster.yaml for each: as much alike as the platforms allow."""
PLATFORMS = ("aws", "openstack", "libvirt", "hybrid")
ENGINE = "cdktf"
"""The default one; the other tables compare both."""


def cluster_text(platform: str, agents: int) -> str:
    """The benchmark's cluster.yaml of a platform, with so many agents in every site."""
    cluster = yaml.safe_load((CLUSTERS / f"{platform}.yaml").read_text())
    for site in cluster["sites"].values():
        site["agents"]["general"]["count"] = agents
    return yaml.safe_dump(cluster, sort_keys=False)


def named(platform: str, agents: int) -> str:
    """What a table calls it: `hybrid, 10,000 agents`."""
    return f"{platform}, {agents:,} agents"


@dataclass(frozen=True, kw_only=True)
class PlatformResults:
    """The runs of every platform for the smallest and the largest number of agents, in the same rounds."""

    small: int
    large: int
    runs: Results


def play_platforms(work: Path, small: int, large: int, rounds: int) -> PlatformResults:
    """Cold runs of every platform and size in turn; StepError when one fails."""
    contenders = list(_contenders(work, (small, large)))
    # What only a first run does: secrets, the lock, jsii's cache.
    play(contenders, 1, work)
    return PlatformResults(small=small, large=large, runs=play(contenders, rounds, work))


def _contenders(work: Path, sizes: Sequence[int]) -> Iterator[Contender]:
    for agents in sizes:
        for platform in PLATFORMS:
            folder = work / "platforms" / f"{platform}-{agents}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "cluster.yaml").write_text(cluster_text(platform, agents))
            contender = ours(folder, ENGINE)
            # One cache for all, as on a user's machine.
            yield replace(
                contender, name=named(platform, agents), cache=work / "jsii" / f"platforms-{ENGINE}"
            )
