"""Faults that tests inject into the simulated APIs and their world: data, by Python, HTTP or YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from fnmatch import fnmatchcase
from typing import Any, Final, Literal, get_args

from constructs_lib.simulator.web import Question

Kind = Literal[
    "status",
    "html",
    "slow",
    "half_answer",
    "no_answer",
    "lost_answer",
    "leader_change",
    "refused",
    "task_failure",
    "crash_loop",
    "never_healthy",
    "agent_lost",
    "agent_partitioned",
    "agent_maintenance",
    "no_offers",
    "deployment_stuck",
    "framework_inactive",
]
OF_ANSWERS: Final = frozenset(
    {"status", "html", "slow", "half_answer", "no_answer", "lost_answer", "leader_change"}
)
"""Those that wait for a request; all others happen at once."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault. Those of answers hit the requests that fit; the others hit the world when injected.

    ==================  =====================================================================================
    kind                what happens
    ==================  =====================================================================================
    status              the answer is `status`, with `body` or the program's own words; nothing is changed
    html                the answer is `status` (200 where it is not given) with a web page
    slow                the answer comes `delay` real seconds late
    half_answer         the connection is closed in the middle of the body, what was asked for was done
    no_answer           the connection is closed at once, nothing was done
    lost_answer         what was asked for is done, and the connection is closed without an answer
    leader_change       another instance leads; the request meets an election of `seconds`
    refused             the instance's port is closed for `seconds`
    task_failure        the tasks of `target` end with exit code `status`, once
    crash_loop          tasks of `target` end right after their start, those that run at once
    never_healthy       tasks of `target` that start from now on never pass their health check
    agent_lost          the agent `target` is gone with its tasks
    agent_partitioned   the agent `target` can't be reached for `seconds`, its tasks live on
    agent_maintenance   the agent `target` is to be maintained for `seconds`: nothing new starts there
    no_offers           nothing is offered for `seconds`
    deployment_stuck    deployments that hold `target` do nothing for `seconds`
    framework_inactive  Mesos calls `program` inactive, for `seconds`: it gets no offers
    ==================  =====================================================================================

    `calls` and `seconds` bound how long a fault of answers lasts, without both it is one call; `after` is how
    many fitting requests pass before it. `seconds` is simulated time, None: until it is healed.
    """

    kind: Kind
    program: str = "*"
    instance: int | None = None
    method: str = "*"
    path: str = "*"
    """A pattern of the whole path, such as /v2/apps/*."""
    calls: int | None = None
    seconds: float | None = None
    after: int = 0
    status: int | None = None
    body: Any = None
    delay: float = 1.0
    target: str = "*"

    def fits(self, program: str, instance: int, question: Question) -> bool:
        """Whether a request is one of those that it hits."""
        return (
            fnmatchcase(program, self.program)
            and self.instance in (None, instance)
            and fnmatchcase(question.method, self.method)
            and fnmatchcase(question.path, self.path)
        )


@dataclass
class _Waiting:
    fault: Fault
    skip: int
    left: int | None
    until: float | None


class Faults:
    """The faults of answers that are injected and not used up."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []

    def add(self, fault: Fault, now: float) -> None:
        """Let it hit what comes."""
        until = None if fault.seconds is None or fault.kind == "leader_change" else now + fault.seconds
        calls = 1 if fault.calls is None and until is None else fault.calls
        self._waiting.append(_Waiting(fault, fault.after, calls, until))

    def take(self, program: str, instance: int, question: Question, now: float) -> Fault | None:
        """The fault that hits this request, which is used up by one call."""
        self._waiting = [
            one for one in self._waiting if one.left != 0 and (one.until is None or now < one.until)
        ]
        for one in self._waiting:
            if not one.fault.fits(program, instance, question):
                continue
            if one.skip:
                one.skip -= 1
                continue
            if one.left is not None:
                one.left -= 1
            return one.fault
        return None

    def clear(self) -> None:
        """Forget all."""
        self._waiting.clear()

    def listed(self) -> list[dict[str, Any]]:
        """Those that are not used up."""
        return [{**asdict(one.fault), "left": one.left} for one in self._waiting if one.left != 0]


def read_fault(given: Mapping[str, Any]) -> Fault:
    """A fault from JSON or YAML.

    Raises:
        ValueError: a kind or field that there is not, or a value of another type.
    """
    known = {field.name: field for field in fields(Fault)}
    if unknown := sorted(str(name) for name in set(given) - set(known)):
        raise ValueError(f"fault: got a field {unknown[0]!r}, expected one of {', '.join(known)}")
    kinds = get_args(Kind)
    if given.get("kind") not in kinds:
        raise ValueError(f"fault: kind: got {given.get('kind')!r}, expected one of {', '.join(kinds)}")
    for name in ("calls", "seconds", "after", "status", "delay", "instance"):
        value = given.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or value < 0):
            raise ValueError(f"fault: {name}: got {value!r}, expected a number, 0 or more")
    for name in ("program", "method", "path", "target"):
        if not isinstance(given.get(name, "*"), str):
            raise ValueError(f"fault: {name}: got {given[name]!r}, expected text")
    return Fault(**given)
