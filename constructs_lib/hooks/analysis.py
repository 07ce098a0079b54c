"""Is a canary worse? Its measurements against bounds, once there were requests enough to say.

A check speaks against a canary only if the former version kept its bounds before: what was bad already is not
the canary's fault. No data, too few requests and a Prometheus that does not answer are *undecided*, which is
never a pass; and of a former version with too few requests nothing is known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from constructs_lib.contracts.compiled import CanaryCheck, CompiledContract
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.observed import Analysis, Judgement, Progress
from constructs_lib.hooks.prometheus import Prometheus

ERRORS = CanaryCheck(name="errors at the edge", query="edge_requests_total", upper=0.01)
"""What is asked of a canary without checks of its own: the share of its answers that are of status 5xx."""
_FAILED = ',status=~"5.."'


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
        seconds, version = now - since, contract.app.version
        try:
            if contract.route is not None:
                wanted = contract.deployment.canary_min_requests
                requests = self._counted(contract, version, seconds, now)
                if requests < wanted:
                    return Judgement(why=f"{requests:.0f} of {wanted} requests")
            checks = contract.deployment.checks
            measured = tuple(self._measured(check, version, progress, now) for check in checks)
            return verdict(measured or (self._errors(contract, progress, seconds, now),))
        except ApiError as error:
            return Judgement(why=f"nothing can be measured: {error}")

    def _measured(self, check: CanaryCheck, version: str, progress: Progress, now: float) -> Measured:
        former = progress.settled
        query = check.query.replace(version, former) if former else check.query
        before = self._values(query, progress.began) if former else ()
        return measure(check, before, self._values(check.query, now))

    def _errors(self, contract: CompiledContract, progress: Progress, seconds: float, now: float) -> Measured:
        former = progress.settled
        before = self._share(contract, former, seconds, progress.began) if former else ()
        return measure(ERRORS, before, self._share(contract, contract.app.version, seconds, now))

    def _share(
        self, contract: CompiledContract, version: str, seconds: float, at: float
    ) -> tuple[float, ...]:
        """The share of 5xx, of all sites together: one bad answer of two at a small site decides nothing."""
        requests = self._counted(contract, version, seconds, at)
        if requests < max(contract.deployment.canary_min_requests, 1):
            return ()
        return (self._counted(contract, version, seconds, at, _FAILED) / requests,)

    def _counted(
        self, contract: CompiledContract, version: str, seconds: float, at: float, more: str = ""
    ) -> float:
        return sum(self._values(counted(contract.name, version, seconds, more), at))

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


def counted(route: str, version: str, seconds: float, more: str = "") -> str:
    """What edges counted in so many seconds, the first request too.

    `increase()` would not see what the first reading of a new counter holds already. Each counter is compared
    with itself, and one that began anew, as its edge did, says what it has counted since: were sums compared,
    the former counts of a version that is tried again would hide what it does now.
    """
    series = f'edge_requests_total{{route="{route}",version="{version}"{more}}}'
    # What an edge said last, should it have been silent just then.
    before = f"last_over_time({series}[5m] offset {max(int(seconds), 1)}s)"
    return f"sum({series} - {before} >= 0 or {series})"


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
