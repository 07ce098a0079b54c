"""What ``make bench`` calls: measures everything and writes docs/performance.md.

    python -m scripts.bench [--rounds N] [--agents N …] [--deploys N] [--report FILE]

Exit codes: 0 every target was reached, 1 one was missed or a program failed, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import report
from bench.contenders import Contender, Field, prepare, write_programs
from bench.deploys import Deploys
from bench.platforms import PLATFORMS, PlatformResults, play_platforms
from bench.report import Outcome, sized
from bench.rounds import Results, play
from scripts.progress import ROOT, one_line_errors, state_folder, step

SIZES = (10, 100, 1_000, 10_000)


def main(arguments: list[str]) -> int:
    """Run the benchmark; returns the exit code.

    Raises:
        StepError: a program failed, or two of them make different infrastructure.
    """
    asked = _parser().parse_args(arguments)
    work = state_folder() / "bench"
    sizes = sorted(set(asked.agents))
    with step(f"programs for {', '.join(f'{agents:,}' for agents in sizes)} agents in every binding"):
        fields = [prepare(work, agents) for agents in sizes]
        write_programs(fields)
        play(fields[0].everyone, 1, work)  # whatever only a first run lacks
    synths = {field.agents: _synth(field, asked.rounds, field is fields[0]) for field in fields}
    outcome = Outcome(
        fields=fields,
        synths=synths,
        first=_first(fields[0], max(1, asked.rounds * 2 // 5)),
        growth=_grow(fields, asked.rounds, work) if len(fields) > 1 else None,
        deploys=_deploy(asked.deploys, work) if asked.deploys else None,
        platforms=_platforms(work, sizes, asked.rounds),
    )
    report.write(asked.report, outcome)
    return _judge(outcome, asked.report)


def _synth(field: Field, rounds: int, all_rounds: bool) -> Results:
    # A binding takes up to 20 s a run, and nobody's time is expected to depend on the number of agents.
    rounds = rounds if all_rounds else max(1, rounds * 2 // 5)
    with step(f"{field.agents:,} agents: {rounds} rounds of {len(field.everyone)} programs"):
        results = play(field.everyone, rounds, field.folder)
        field.verify()
    return results


def _first(field: Field, rounds: int) -> Results:
    with step(f"{field.agents:,} agents, jsii's cache empty: {rounds} rounds"):
        return play(field.newcomers, rounds, field.folder)


def _grow(fields: Sequence[Field], rounds: int, work: Path) -> Results:
    small, large = fields[0], fields[-1]
    with step(f"this library, {small.agents:,} and {large.agents:,} agents in turn, {rounds} rounds"):
        return play([*_sized(small), *_sized(large)], rounds, work)


def _sized(field: Field) -> list[Contender]:
    return [replace(contender, name=sized(contender.name, field.agents)) for contender in field.ours]


def _platforms(work: Path, sizes: Sequence[int], rounds: int) -> PlatformResults:
    what = f"{', '.join(PLATFORMS)}; {sizes[0]:,} and {sizes[-1]:,} agents in turn, {rounds} rounds"
    with step(what):
        return play_platforms(work, sizes[0], sizes[-1], rounds)


def _deploy(rounds: int, work: Path) -> Results:
    with step(f"cdktf deploy and terraform apply, {rounds} rounds"):
        return Deploys(work / "deploy").play(rounds)


def _judge(outcome: Outcome, written: Path) -> int:
    reached = outcome.targets()
    for target in reached:
        print(f"    {'ok    ' if target.met else 'MISSED'} {target.what}: {report.ratio(target.measured)}")
    print(f"==> {written}", flush=True)
    return 0 if all(target.met for target in reached) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench", description="Measure synth and deploy; write docs/performance.md."
    )
    parser.add_argument(
        "--rounds",
        type=_positive,
        default=5,
        help="cold runs of each program for the smallest size; "
        "two fifths of it for the others (default %(default)s)",
    )
    parser.add_argument(
        "--agents",
        type=_positive,
        nargs="+",
        default=list(SIZES),
        metavar="N",
        help="numbers of agents (default: 10 100 1000 10000)",
    )
    parser.add_argument(
        "--deploys",
        type=int,
        default=2,
        metavar="N",
        help="how often to deploy the demo's cluster; 0 leaves it out (default %(default)s)",
    )
    parser.add_argument(
        "--report",
        type=Path,
        default=ROOT / "docs" / "performance.md",
        metavar="FILE",
        help="where the tables go (default docs/performance.md)",
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"got {text}, expected 1 or more")
    return number


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main(sys.argv[1:]))
