"""Is a canary worse? Its measurements against bounds, once there were requests enough to say.

A check speaks against a canary only if the former version kept its bounds before: what was bad already is not
the canary's fault. No data, too few requests and a Prometheus that does not answer are *undecided*, which is
never a pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from constructs_lib.contracts.compiled import CanaryCheck, CompiledContract
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.observed import Analysis, Judgement, Progress
from constructs_lib.hooks.prometheus import Prometheus

ERRORS = 0.01
"""The share of answers of status 5xx that a canary without checks of its own may have."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one check found: `bad` speaks against the canary, None says nothing."""

    check: CanaryCheck
    bad: bool | None
    says: str


class Analysts:
    """Asks the Prometheus of every site that has one; each sees its own site's edges."""

    def __init__(self, sites: Mapping[str, Prometheus]) -> None:
        self._sites = sites

    def judge(self, contract: CompiledContract, progress: Progress, now: float) -> Judgement:
        """What the measurements say of the version that is deployed now."""
        since = progress.canary_since
        if since is None:
            return Judgement(why="it has no requests yet")
        try:
            if contract.route is not None:
                wanted = contract.deployment.canary_min_requests
                requests = sum(self._values(_requests(contract, now - since), now))
                if requests < wanted:
                    return Judgement(why=f"{requests:.0f} of {wanted} requests")
            measured = tuple(self._measured(contract, progress, since, now))
        except ApiError as error:
            return Judgement(why=f"nothing can be measured: {error}")
        return verdict(measured)

    def _measured(
        self, contract: CompiledContract, progress: Progress, since: float, now: float
    ) -> Iterator[Measured]:
        checks = contract.deployment.checks or (errors_at_the_edge(contract, now - since),)
        for check in checks:
            former = progress.settled
            query = check.query.replace(contract.app.version, former) if former else check.query
            before = self._values(query, progress.began) if former else ()
            yield measure(check, before, self._values(check.query, now))

    def _values(self, query: str, at: float) -> tuple[float, ...]:
        return tuple(value for site in self._sites.values() for value in site.values(query, at))


def verdict(measured: tuple[Measured, ...]) -> Judgement:
    """Bad at the first check that is; good when each one said something, or could not have."""
    told = "; ".join(one.says for one in measured)
    judged = [one for one in measured if not one.check.dry_run]
    says: Analysis = "good"
    if any(one.bad for one in judged):
        says, told = "bad", "; ".join(one.says for one in judged if one.bad)
    elif any(one.bad is None for one in judged):
        says = "undecided"
    return Judgement(says=says, why=told or "no check")


def measure(check: CanaryCheck, before: tuple[float, ...], after: tuple[float, ...]) -> Measured:
    """One check: of several series the one that is furthest out counts."""
    dry = " (only told)" if check.dry_run else ""
    if not after:
        return Measured(check=check, bad=None, says=f"{check.name}: no data{dry}")
    out = [value for value in after if not _within(check, value)]
    if not out:
        return Measured(check=check, bad=False, says=f"{check.name}: {_worst(check, after):g}{dry}")
    said = f"{check.name}: {_worst(check, out):g}, {_bounds(check)}{dry}"
    if before and not all(_within(check, value) for value in before):
        was = f"was {_worst(check, before):g} before the deployment, and is not held against it"
        return Measured(check=check, bad=False, says=f"{said}, {was}")
    return Measured(check=check, bad=True, says=said)


def errors_at_the_edge(contract: CompiledContract, seconds: float) -> CanaryCheck:
    """What is asked of a contract that names no check."""
    # No series with a 5xx is none of them, not no data.
    bad = _counted(contract, seconds, ',status=~"5.."')
    query = f"({bad} or vector(0)) / {_requests(contract, seconds)}"
    return CanaryCheck(name="errors at the edge", query=query, upper=ERRORS)


def _requests(contract: CompiledContract, seconds: float) -> str:
    return _counted(contract, seconds, "")


def _counted(contract: CompiledContract, seconds: float, more: str) -> str:
    """What edges counted in so many seconds, the first request too; a counter that began anew gives less.

    `increase()` would not see what the first reading of a new counter holds already.
    """
    series = f'edge_requests_total{{route="{contract.name}",version="{contract.app.version}"{more}}}'
    before = f"sum({series} offset {max(int(seconds), 1)}s) or vector(0)"
    return f"clamp_min(sum({series}) - ({before}), 0)"


def _within(check: CanaryCheck, value: float) -> bool:
    return (check.lower is None or value >= check.lower) and (check.upper is None or value <= check.upper)


def _worst(check: CanaryCheck, values: tuple[float, ...] | list[float]) -> float:
    def out(value: float) -> float:
        above = value - check.upper if check.upper is not None else float("-inf")
        below = check.lower - value if check.lower is not None else float("-inf")
        return max(above, below)

    return max(values, key=out)


def _bounds(check: CanaryCheck) -> str:
    said = [f"at least {check.lower:g}"] if check.lower is not None else []
    said += [f"at most {check.upper:g}"] if check.upper is not None else []
    return " and ".join(said) or "without bounds"
