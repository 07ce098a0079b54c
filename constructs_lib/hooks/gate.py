"""Waits until the platform is ready: bounded, and with a word for every change of what it waits for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import replace

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.contracts.placement import REGION
from constructs_lib.errors import HookError
from constructs_lib.hooks.checks import look
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints
from constructs_lib.hooks.finding import Expected, Finding
from constructs_lib.hooks.platform import Platform

PAUSE_SECONDS = 3.0
REMIND_SECONDS = 30.0
_CUT_OFF = "gone on without {sites}, where no contract has instances"
_DEGRADED = "gone on all the same: --degraded"


def wait_until_ready(
    endpoints: Endpoints,
    expected: Expected,
    deadline: Deadline,
    say: Callable[[str], None],
    *,
    spared: Collection[str] = (),
    degraded: bool = False,
) -> tuple[Finding, ...]:
    """The findings once all are good; HookError with every one that is not when the deadline has passed.

    What then is wrong with `spared` sites alone, since they may be cut off, is a warning. So is, if
    `degraded`, at once what leaves enough for an urgent change.
    """
    told: dict[str, str] = {}
    waiting: list[Finding] = []
    asked: tuple[Finding, ...] = ()
    last_said = deadline.left
    while True:
        enough = deadline.left >= PAUSE_SECONDS
        findings = look(endpoints, expected, deadline)
        now = [one for one in findings if not one.good]
        if not now:
            return findings
        if degraded and all(one.enough for one in now):
            return tuple(_without(findings, say, _DEGRADED))
        # What there was no time to ask for says nothing.
        if enough or not waiting:
            waiting, asked = now, findings
        for one in waiting:
            if told.get(one.check) != one.says or last_said - deadline.left > REMIND_SECONDS:
                say(f"waiting for {one.check}: {one.says} ({deadline.left:.0f} s left)")
                told[one.check] = one.says
                last_said = deadline.left
        deadline.sleep(PAUSE_SECONDS)
        if deadline.over:
            if all(one.sites and set(one.sites) <= set(spared) for one in waiting):
                return tuple(_without(asked, say, _CUT_OFF))
            raise HookError(not_ready(waiting, deadline.seconds))


def spared_sites(platform: Platform, compiled: Compiled) -> frozenset[str]:
    """The sites that no contract has its instances at; never the home site."""
    needed = {site for contract in compiled.contracts for site in _sites_of(contract, platform.plan.sites)}
    return frozenset(platform.plan.sites) - needed - {platform.home}


def _sites_of(contract: CompiledContract, sites: Collection[str]) -> Iterator[str]:
    """Where its constraint on the region, which every app has, lets its instances be."""
    named = [one for one in contract.app.body.get("constraints") or () if one[0] == REGION]
    for site in sites:
        if all(re.fullmatch(str(one[2]), site) for one in named):
            yield site


def _without(findings: tuple[Finding, ...], say: Callable[[str], None], why: str) -> Iterator[Finding]:
    """The findings, those that are gone on without as warnings."""
    for one in findings:
        if one.good:
            yield one
            continue
        says = f"{one.says}; {why.format(sites=' and '.join(one.sites))}"
        say(f"{one.check}: {says}")
        yield replace(one, good=True, sure=False, says=says)


def not_ready(waiting: list[Finding], seconds: float) -> str:
    """What is not ready, one line each."""
    lines = [f"the platform is not ready after {seconds:.0f} s; nothing was changed"]
    for one in waiting:
        hint = f" (try: {one.try_next})" if one.try_next else ""
        lines.append(f"  {one.check}: {one.says}{hint}")
    return "\n".join(lines)
