"""The tables say what was measured, and whether a target was reached."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.contenders import BINDINGS, ENGINES, Contender, Field, floor, ours
from bench.measure import Measured
from bench.platforms import PLATFORMS, PlatformResults, named
from bench.report import FLOOR, OURS, Outcome, Target, ratio, sized, spread, write
from bench.rounds import Results, Spread, mebibytes, play, seconds


def _run(seconds: float, mebibytes: float = 100) -> Measured:
    return Measured(seconds=seconds, cpu_seconds=seconds / 2, peak_bytes=int(mebibytes * 2**20))


def _outcome(folder: Path, *, rival: float = 20, fork: float = 4) -> Outcome:
    written = folder / "out-ours-cdktf" / "stacks" / "bench-eu"
    written.mkdir(parents=True)
    (written / "cdk.tf.json").write_text('{"resource": {"aws_vpc": {"a": {}, "b": {}}}}')
    mine, floors = tuple(ours(folder, e) for e in ENGINES), tuple(floor(folder, e) for e in ENGINES)
    rivals = tuple(Contender(b.package, b.engine, (), folder, folder / "jsii") for b in BINDINGS)
    runs = {name: [_run(0.6), _run(0.8)] for name in OURS.values()}
    runs |= {name: [_run(0.5, 80), _run(0.6, 80)] for name in FLOOR.values()}
    runs |= {b.package: [_run(rival if b.engine == "cdktf" else fork, 900)] * 2 for b in BINDINGS}
    growth = Results({sized(name, n): [_run(0.6), _run(0.6)] for name in OURS.values() for n in (10, 1_000)})
    fields = [Field(n, folder, mine, floors, rivals) for n in (10, 1_000)]
    return Outcome(
        fields=fields,
        synths=dict.fromkeys((10, 1_000), Results(runs)),
        growth=growth,
        first=Results(runs),
        deploys=None,
        platforms=_platforms(hybrid=1.4),
    )


def _platforms(*, hybrid: float) -> PlatformResults:
    runs = {named(p, n): [_run(1), _run(1)] for p in PLATFORMS for n in (10, 1_000)}
    runs |= {named("hybrid", n): [_run(hybrid), _run(hybrid)] for n in (10, 1_000)}
    return PlatformResults(small=10, large=1_000, runs=Results(runs))


def test_the_report_holds_every_program_of_every_size(tmp_path: Path) -> None:
    outcome = _outcome(tmp_path)
    write(tmp_path / "performance.md", outcome)
    text = (tmp_path / "performance.md").read_text()
    assert "## 10 agents, 2 resource blocks, 2 rounds" in text
    assert "## 1,000 agents" in text
    for contender in outcome.fields[0].everyone:
        assert text.count(f"| {contender.name} |") == 3
    assert "## How it is measured" in text
    assert str(tmp_path) not in text


def test_the_targets_of_the_issue_are_judged(tmp_path: Path) -> None:
    judged = {target.what: target.met for target in _outcome(tmp_path, fork=2).targets()}
    assert judged["time of cdktf-cdktf-provider-aws / ours"] is True
    assert judged["time of cdktn-provider-aws / ours"] is False
    assert len(judged) == 14 + 6 + 4


def test_every_platform_is_held_to_aws_and_to_its_own_smallest_size(tmp_path: Path) -> None:
    outcome = replace(_outcome(tmp_path), platforms=_platforms(hybrid=1.6))

    judged = {target.what: target.met for target in outcome.targets()}

    assert judged["time of openstack, 1,000 agents / aws"] is True
    assert judged["time of hybrid, 10 agents / aws"] is False
    assert judged["hybrid, 1,000 agents / 10 agents"] is True
    write(tmp_path / "performance.md", outcome)
    text = (tmp_path / "performance.md").read_text()
    assert "## clustermesos on cdktf, every platform, 2 rounds" in text
    assert "| hybrid, 1,000 agents | 1.60 (1.60 … 1.60) |" in text


def test_a_ratio_is_formed_round_by_round() -> None:
    results = Results({"a": [_run(2), _run(6), _run(4)], "b": [_run(1), _run(2), _run(4)]})
    assert results.ratio("a", "b", seconds) == Spread(2, 1, 3)
    assert results.spread("a", seconds) == Spread(4, 2, 6)
    assert results.spread("a", mebibytes) == Spread(100, 100, 100)


def test_runs_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Results({"a": [_run(1)], "b": []}).ratio("a", "b", seconds)


def test_a_missed_bound_shows() -> None:
    target = Target("x / y", Spread(1.6, 1.5, 1.7), 1.5, at_least=False)
    assert not target.met
    assert target.row() == "| x / y | ≤ 1.5 | 1.60 (1.50 … 1.70) | **no** |"


def test_numbers_are_short() -> None:
    assert spread(Spread(0.6234, 0.6, 12.34)) == "0.62 (0.60 … 12.3)"
    assert spread(Spread(1342.2, 99.99, 1400)) == "1342 (100.0 … 1400)"
    assert ratio(Spread(12.345, 9, 14)) == "12.3 (9.0 … 14.0)"


@pytest.mark.slow
def test_an_empty_stack_of_each_engine_is_measured_in_turn(tmp_path: Path) -> None:
    floors = [floor(tmp_path, engine) for engine in ENGINES]
    results = play(floors, 1, tmp_path)
    for contender in floors:
        (run,) = results.runs[contender.name]
        assert run.seconds > 0
        assert run.peak_bytes > 2**20
        assert (contender.outdir / "stacks" / "empty" / "cdk.tf.json").is_file()
