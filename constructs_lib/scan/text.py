"""The report for people."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from constructs_lib.scan.checkov import Result
from constructs_lib.scan.report import Excepted, Report, StackReport


def as_text(report: Report) -> str:
    """Counts per stack, each failed check with its place, each accepted one with its reason, what to do."""
    return "\n".join(_lines(report)) + "\n"


def _lines(report: Report) -> Iterator[str]:
    yield f"Policy scan with checkov {report.version}"
    for stack in report.stacks:
        yield ""
        yield f"{stack.stack.name}  ({stack.stack.file})"
        yield f"  {_counts(stack)}"
        yield from _failed(stack)
        yield from _excepted(stack)
        yield from _stale(stack)
    yield ""
    yield from _notes(report)
    yield _verdict(report)


def _counts(stack: StackReport) -> str:
    parts = [
        f"{len(stack.passed)} passed",
        f"{len(stack.failed)} failed",
        f"{len(stack.excepted)} excepted with a reason",
    ]
    if stack.stale:
        parts.append(f"{len(stack.stale)} exceptions that match nothing")
    return ", ".join(parts)


def _failed(stack: StackReport) -> Iterator[str]:
    ordered = sorted(stack.failed, key=lambda result: (result.check, result.address))
    for (check, title), results in groupby(ordered, lambda result: (result.check, result.title)):
        yield f"  FAILED {check}: {title}"
        for result in results:
            yield f"    {where(stack, result)}"


def _excepted(stack: StackReport) -> Iterator[str]:
    def by_check(excepted: Excepted) -> tuple[str, str]:
        return excepted.result.check, excepted.result.title

    for (check, title), group in groupby(sorted(stack.excepted, key=by_check), by_check):
        yield f"  excepted {check}: {title}"
        for reason, same in groupby(group, lambda excepted: excepted.reason):
            yield from (f"    {excepted.result.address}" for excepted in same)
            yield f"      because {reason}"


def _stale(stack: StackReport) -> Iterator[str]:
    for stale in stack.stale:
        yield f"  MATCHES NOTHING {stale.exception.check} at {stale.exception.address}: {stale.why}"
        yield f"      was accepted because {stale.exception.reason}"


def _notes(report: Report) -> Iterator[str]:
    if report.phantoms:
        yield (
            f"Left out: {report.phantoms} results for instances that only checkov's JSON reader sees "
            '(["__startline__"], ["__endline__"] of a for_each over a literal map).'
        )
    if report.unseen:
        yield f"A plain checkov skips {', '.join(report.unseen)}, which also concern other resources here."
    if report.still_failing:
        yield (
            f"A plain checkov still reports {', '.join(report.still_failing)}: accepted, "
            "but not for every resource that they concern."
        )


def _verdict(report: Report) -> str:
    failed = sum(len(stack.failed) for stack in report.stacks)
    stale = sum(len(stack.stale) for stack in report.stacks)
    if not failed and not stale:
        return "Fine: no check failed without a declared exception."
    wrong = []
    if failed:
        wrong.append(
            f"{_count(failed, 'failed check')}: mend the resource, "
            'or say accept(resource, "CHECK", "reason") beside it'
        )
    if stale:
        wrong.append(f"{_count(stale, 'exception')} matching nothing: take out that accept(...)")
    return f"Not fine. {'; '.join(wrong)}."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def where(stack: StackReport, result: Result) -> str:
    """`aws_instance.demo_masters ["master-1"]  cdk.tf.json:44`."""
    instances = f" {' '.join(result.instances)}" if result.instances else ""
    lines = stack.stack.lines.get(result.address)
    place = f"{stack.stack.file.name}:{lines.first}" if lines else stack.stack.file.name
    return f"{result.address}{instances}  {place}"
