"""How the backups of the platform's own state ended last, as each node told its site's Prometheus.

The nodes save by timers, so no scheduler knows of these. Asking Prometheus needs no login on any node, and
its answer stays when the node that saved is the one that is lost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from constructs_lib.components.node_exporter import NODE_EXPORTER
from constructs_lib.components.platform_backup import (
    OVERDUE_SECONDS,
    PROVED,
    SAVE_FAILED,
    SAVED,
    TEST_FAILED,
    UNPROVED_SECONDS,
)
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.finding import at_once
from constructs_lib.hooks.hook import Verdict
from constructs_lib.hooks.prometheus import ASK_SECONDS, Sample, Silent, asked, everywhere
from constructs_lib.nodes.saved_state import saved_state
from constructs_lib.plan.model import ClusterPlan, SitePlan

KIND: Final = "platform"
_NODES = f'up{{job="{NODE_EXPORTER.name}-metrics"}}'
# The newest of two weeks: a node that is down told it before.
_QUERY = f'last_over_time({{__name__=~"{SAVED}|{SAVE_FAILED}|{PROVED}|{TEST_FAILED}"}}[14d]) or {_NODES}'
_LOGIN = "ssh -F .clustermesos/ssh_config"


@dataclass(frozen=True, kw_only=True)
class SavedState:
    """One state on one node; times are seconds since 1970, None where there was no success yet."""

    state: str
    node: str
    """`consul-1.eu`, as SSH knows it."""
    saved: float | None = None
    save_failed: bool = False
    """Whether its last backup failed; the one before that may be good."""
    proved: float | None = None
    """When a restore was verified last."""
    test_failed: bool = False
    told: bool = False
    """Whether the node has ever tried to save it."""
    silent: str | None = None
    """Why nothing newer is known."""

    @property
    def name(self) -> str:
        """`consul on consul-1.eu`."""
        return f"{self.state} on {self.node}"

    def verdict(self, now: float) -> Verdict:
        """Green once a restore was verified, as with every other backup."""
        good, sure, says, helps = True, True, [self._last(now)], None
        if self.save_failed or (self.saved is not None and now - self.saved > OVERDUE_SECONDS):
            good, helps = False, self._log("platform-backup")
        elif self.test_failed:
            good, helps = False, self._log("platform-backup-test")
        elif self.silent is not None:
            sure, helps = False, f"{_LOGIN} {self.node} sudo platform-backup list"
        elif not self._fresh(now):
            # By itself it comes within hours, and within a week; nobody has to wait for that.
            unit = "platform-backup-test" if self.saved is not None else "platform-backup"
            sure, helps = False, f"{_LOGIN} {self.node} sudo systemctl start {unit}"
        if self.told:
            says.append(self._proof(now))
        if self.silent is not None:
            says.append(self.silent)
        return Verdict(kind=KIND, name=self.name, good=good, sure=sure, says="; ".join(says), try_next=helps)

    def plain(self, now: float) -> dict[str, object]:
        """As JSON."""
        verdict = self.verdict(now)
        return {
            "state": self.state,
            "node": self.node,
            "good": verdict.good,
            "sure": verdict.sure,
            "says": verdict.says,
            "last_success": self.saved and _time(self.saved),
            "last_failed": self.save_failed,
            "restore_verified": self.proved and _time(self.proved),
            "restore_test_failed": self.test_failed,
            "try_next": verdict.try_next,
        }

    def _fresh(self, now: float) -> bool:
        return self.saved is not None and self.proved is not None and now - self.proved <= UNPROVED_SECONDS

    def _last(self, now: float) -> str:
        if self.saved is not None:
            late = ", which is overdue" if now - self.saved > OVERDUE_SECONDS else ""
            says = f"last succeeded {_time(self.saved)}{late}"
            return f"failed since it {says}" if self.save_failed else says
        if self.save_failed:
            return "failed, and never succeeded"
        return "nothing is known" if self.silent is not None else "has not run yet"

    def _proof(self, now: float) -> str:
        if self.test_failed:
            return "its restore test failed" + (f" since {_time(self.proved)}" if self.proved else "")
        if self.proved is None:
            return "no restore has proved it yet"
        old = ", which is long ago" if now - self.proved > UNPROVED_SECONDS else ""
        return f"proved by a restore {_time(self.proved)}{old}"

    def _log(self, unit: str) -> str:
        return f"{_LOGIN} {self.node} sudo journalctl -u {unit} -n 50"


def platform_backups(plan: ClusterPlan, endpoints: Endpoints, deadline: Deadline) -> tuple[SavedState, ...]:
    """Every state that a node saves, by the word of its site's Prometheus, of several the newest."""
    places = [one for one in everywhere(endpoints) if plan.site(one.site).platform_backup is not None]

    def ask(place: Instance) -> tuple[Sample, ...] | Silent:
        bounded = deadline.within(ASK_SECONDS)
        return asked(endpoints, place, bounded, lambda api: api.series(_QUERY), patient=False)

    said = at_once(ask, places)
    answers = list(zip(places, said, strict=True))
    return tuple(one for site in plan.sites.values() for one in _of_site(site, answers))


def _of_site(
    site: SitePlan, answers: list[tuple[Instance, tuple[Sample, ...] | Silent]]
) -> Iterator[SavedState]:
    here = [(place, said) for place, said in answers if place.site == site.name]
    heard = [said for _, said in here if not isinstance(said, Silent)]
    lost = [
        f"{place.node}.{site.name} was not asked: {said}" for place, said in here if isinstance(said, Silent)
    ]
    nobody = "; ".join(lost) or f"{site.name} has no Prometheus that could be asked"
    for node, states in saved_state(site).items():
        where = f"{site.node(node).address}:{NODE_EXPORTER.port('metrics').number}"
        # Two that look at the same node differ by what one of them missed.
        known = _newest([one for samples in heard for one in samples if one.labels.get("instance") == where])
        silent = None if heard else nobody
        if heard and not known.get(("up", "")):
            silent = "Prometheus can't read the node's metrics now"
        for state in states:
            yield _state(state, f"{node}.{site.name}", known, silent)


def _newest(samples: list[Sample]) -> Mapping[tuple[str, str], float]:
    """Metric and state → value."""
    found: dict[tuple[str, str], float] = {}
    for one in samples:
        key = one.labels.get("__name__", ""), one.labels.get("state", "")
        found[key] = max(one.value, found.get(key, one.value))
    return found


def _state(state: str, node: str, known: Mapping[tuple[str, str], float], silent: str | None) -> SavedState:
    return SavedState(
        state=state,
        node=node,
        saved=known.get((SAVED, state)) or None,
        save_failed=bool(known.get((SAVE_FAILED, state))),
        proved=known.get((PROVED, state)) or None,
        test_failed=bool(known.get((TEST_FAILED, state))),
        told=(SAVED, state) in known,
        silent=silent,
    )


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
