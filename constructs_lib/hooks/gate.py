"""Waits until the platform is ready: bounded, and with a word for every change of what it waits for."""

from __future__ import annotations

from collections.abc import Callable

from constructs_lib.errors import HookError
from constructs_lib.hooks.checks import look
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints
from constructs_lib.hooks.finding import Expected, Finding

PAUSE_SECONDS = 3.0
REMIND_SECONDS = 30.0


def wait_until_ready(
    endpoints: Endpoints, expected: Expected, deadline: Deadline, say: Callable[[str], None]
) -> tuple[Finding, ...]:
    """The findings once all are good; HookError with every one that is not when the deadline has passed."""
    told: dict[str, str] = {}
    waiting: list[Finding] = []
    last_said = deadline.left
    while True:
        enough = deadline.left >= PAUSE_SECONDS
        findings = look(endpoints, expected, deadline)
        now = [one for one in findings if not one.good]
        if not now:
            return findings
        # What there was no time to ask for says nothing.
        waiting = now if enough or not waiting else waiting
        for one in waiting:
            if told.get(one.check) != one.says or last_said - deadline.left > REMIND_SECONDS:
                say(f"waiting for {one.check}: {one.says} ({deadline.left:.0f} s left)")
                told[one.check] = one.says
                last_said = deadline.left
        deadline.sleep(PAUSE_SECONDS)
        if deadline.over:
            raise HookError(not_ready(waiting, deadline.seconds))


def not_ready(waiting: list[Finding], seconds: float) -> str:
    """What is not ready, one line each."""
    lines = [f"the platform is not ready after {seconds:.0f} s; nothing was changed"]
    for one in waiting:
        hint = f" (try: {one.try_next})" if one.try_next else ""
        lines.append(f"  {one.check}: {one.says}{hint}")
    return "\n".join(lines)
