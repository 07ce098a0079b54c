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
from bench.contenders import Contender, Field, prepare
from bench.deploys import Deploys
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
    fields: list[Field] = []
    synths: dict[int, Results] = {}
    for agents in sorted(set(asked.agents)):
        # The bindings take up to 20 s a run, and nobody's time is expected to depend on the number of agents.
        rounds = max(1, asked.rounds * 3 // 5) if fields else asked.rounds
        with step(f"{agents:,} agents: the same stack in every binding"):
            fields.append(prepare(work / str(agents), agents))
        with step(f"{agents:,} agents: {rounds} rounds of {len(fields[-1].everyone)} programs"):
            synths[agents] = play(fields[-1].everyone, rounds, work / str(agents))
    outcome = Outcome(
        fields=fields,
        synths=synths,
        growth=_grow(fields, asked.rounds, work) if len(fields) > 1 else None,
        deploys=_deploy(asked.deploys, work) if asked.deploys else None,
    )
    report.write(asked.report, outcome)
    return _judge(outcome, asked.report)


def _grow(fields: Sequence[Field], rounds: int, work: Path) -> Results:
    small, large = fields[0], fields[-1]
    with step(f"this library, {small.agents:,} and {large.agents:,} agents in turn, {rounds} rounds"):
        return play([*_sized(small), *_sized(large)], rounds, work)


def _sized(field: Field) -> list[Contender]:
    return [replace(contender, name=sized(contender.name, field.agents)) for contender in field.ours]


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
        "three fifths of it for the others (default %(default)s)",
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
