"""Holds checkov's results against what constructs accepted, and says whether the scan is fine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructs_lib.scan.checkov import Result, Run
from constructs_lib.scan.layout import Lines, addresses
from constructs_lib.terraform.policy import PolicyException


@dataclass(frozen=True)
class Stack:
    """One synthesized stack: its content, where it lies (for people), its lines, what was accepted for it."""

    name: str
    file: Path
    content: Mapping[str, Any]
    lines: Mapping[str, Lines]
    exceptions: Sequence[PolicyException]


@dataclass(frozen=True)
class Excepted:
    """A failed check that was accepted."""

    result: Result
    reason: str


@dataclass(frozen=True)
class Stale:
    """An exception that matched no failed check, and why."""

    exception: PolicyException
    why: str


@dataclass(frozen=True)
class StackReport:
    """The verdict on one stack; every list is ordered by address or check."""

    stack: Stack
    passed: tuple[Result, ...]
    failed: tuple[Result, ...]
    excepted: tuple[Excepted, ...]
    stale: tuple[Stale, ...]

    @property
    def fine(self) -> bool:
        """Nothing failed that was not accepted, and nothing was accepted in vain."""
        return not self.failed and not self.stale


@dataclass(frozen=True)
class Report:
    """The verdict on all stacks.

    `unseen` and `still_failing` tell where a plain `checkov` with the generated configuration differs: checks
    that it skips although they also concern resources that were not excepted, and accepted ones that it still
    reports, because they concern others too.
    """

    version: str
    stacks: tuple[StackReport, ...]
    phantoms: int
    unseen: tuple[str, ...] = ()
    still_failing: tuple[str, ...] = ()

    @property
    def fine(self) -> bool:
        """Every stack is."""
        return all(report.fine for report in self.stacks)


def judge(run: Run, stacks: Iterable[Stack], skipped: Sequence[str] | None) -> Report:
    """The report; `skipped` are the checks that the generated configuration skips, None without one."""
    reports = tuple(_judge(stack, [r for r in run.results if r.stack == stack.name]) for stack in stacks)
    if skipped is None:
        return Report(run.version, reports, run.phantoms)
    others = {result.check for report in reports for result in (*report.passed, *report.failed)}
    accepted = {excepted.result.check for report in reports for excepted in report.excepted}
    return Report(
        run.version,
        reports,
        run.phantoms,
        unseen=tuple(sorted(others & set(skipped))),
        still_failing=tuple(sorted(accepted - set(skipped))),
    )


def _judge(stack: Stack, results: Sequence[Result]) -> StackReport:
    reasons = {(exception.address, exception.check): exception.reason for exception in stack.exceptions}
    failed = [result for result in results if not result.passed]
    excepted = [result for result in failed if (result.address, result.check) in reasons]
    matched = {(result.address, result.check) for result in excepted}
    passed = {(result.address, result.check) for result in results if result.passed}
    bodies = {address: body for address, _, body in addresses(stack.content)}
    return StackReport(
        stack,
        passed=tuple(result for result in results if result.passed),
        failed=tuple(result for result in failed if result not in excepted),
        excepted=tuple(Excepted(result, reasons[result.address, result.check]) for result in excepted),
        stale=tuple(
            Stale(exception, why)
            for exception in sorted(stack.exceptions)
            if (exception.address, exception.check) not in matched
            if (why := _why_stale(exception, passed, bodies))
        ),
    )


def _why_stale(
    exception: PolicyException, passed: set[tuple[str, str]], bodies: Mapping[str, Mapping[str, Any]]
) -> str:
    """Why the exception matched nothing; empty when `count` is 0, since then checkov does not look at it."""
    if exception.address not in bodies:
        return "this stack has no such resource"
    if (exception.address, exception.check) in passed:
        return "the check passes"
    if bodies[exception.address].get("count") == 0:
        return ""
    return "checkov does not run this check on this resource"
