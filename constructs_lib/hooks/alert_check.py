"""Asks every Prometheus whether it runs with the rules that were written, and reads what contracts name.

Rules and targets take a few seconds from Consul by consul-template to Prometheus, so this waits for them.
One that can't be asked makes no run fail: what it should have is in Consul, and it takes that when it is
back. One that answers and lacks something does: nobody would be told of what its alerts are for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from constructs_lib.contracts.compiled import Compiled, Json
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.hook import Outcome, Verdict
from constructs_lib.hooks.loaded_rules import lacking
from constructs_lib.hooks.prometheus import (
    ASK_SECONDS,
    LoadedRule,
    Prometheus,
    ReadTarget,
    Silent,
    asked,
    everywhere,
)

WAIT_SECONDS: Final = 60.0
"""How long rules and targets may take: consul-template waits up to 5 s, then there is a reload."""
PAUSE_SECONDS: Final = 1.0
HOOK: Final = "alerts"
_REFUSED = '{__name__=~"clustermesos_contract_(rules|targets)_ok"} == 0'
Rules = Mapping[str, Mapping[str, Sequence[Json]]]
"""Site → contract (`clustermesos` for the platform's own) → its groups of rules."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What one Prometheus said; `silent` is why it said nothing."""

    at: Instance
    rules: tuple[LoadedRule, ...] = ()
    targets: tuple[ReadTarget, ...] = ()
    refused: frozenset[str] = frozenset()
    """Contracts of which promtool refused something on its node."""
    silent: str | None = None

    @property
    def node(self) -> str:
        """`consul-1.eu`, as SSH knows it."""
        return f"{self.at.node}.{self.at.site}"


def alert_check(
    endpoints: Endpoints,
    compiled: Compiled,
    rules: Rules,
    serving: Collection[str],
    deadline: Deadline,
    *,
    wait: float = WAIT_SECONDS,
    say: Callable[[str], None] = lambda _line: None,
) -> Outcome:
    """One verdict per site, and one more for each contract whose alerts or metrics are not there.

    `serving` are the contracts that have running instances: of others there is nothing to read. `wait` is how
    long what lacks is waited for, in seconds; with 0 everything is asked once.
    """
    began = time.monotonic()
    places = [one for one in everywhere(endpoints) if one.site in rules]
    if not places:
        return Outcome(hook=HOOK)
    measured = [one.name for one in compiled.contracts if one.targets and one.name in serving]
    waits, told, silent = deadline.within(wait), set[str](), dict[Instance, Seen]()
    while True:
        seen = _look(endpoints, places, silent, deadline)
        # Who was silent for long is not asked again and again.
        silent |= {one.at: one for one in seen if one.silent is not None}
        troubles = (*_of_rules(seen, rules), *_of_targets(seen, measured))
        if not troubles or waits.over:
            break
        for line in (f"waiting for alerts of {one.name}: {one.says}" for one in troubles):
            if line not in told:
                say(line)
                told.add(line)
        waits.sleep(PAUSE_SECONDS)
    return Outcome(hook=HOOK, verdicts=(*_sums(seen, rules), *troubles), seconds=time.monotonic() - began)


def _look(
    endpoints: Endpoints, places: Sequence[Instance], silent: Mapping[Instance, Seen], deadline: Deadline
) -> tuple[Seen, ...]:
    def ask(place: Instance) -> Seen:
        return silent.get(place) or _asked(endpoints, place, deadline.within(ASK_SECONDS))

    with ThreadPoolExecutor(max_workers=8) as pool:
        return tuple(pool.map(ask, places))


def _asked(endpoints: Endpoints, place: Instance, deadline: Deadline) -> Seen:
    def ask(api: Prometheus) -> Seen:
        return Seen(
            at=place,
            rules=api.rules(),
            targets=api.targets(),
            refused=frozenset(one.labels.get("contract", "") for one in api.series(_REFUSED)),
        )

    said = asked(endpoints, place, deadline, ask)
    return Seen(at=place, silent=said) if isinstance(said, Silent) else said


def _of_rules(seen: Sequence[Seen], rules: Rules) -> Iterator[Verdict]:
    for one in seen:
        if one.silent is not None:
            continue
        for name, groups in rules[one.at.site].items():
            lacks = list(lacking(groups, [rule for rule in one.rules if rule.file == name]))
            if lacks:
                yield _trouble(one, name, _some(lacks))


def _of_targets(seen: Sequence[Seen], measured: Sequence[str]) -> Iterator[Verdict]:
    """A contract's instances may all be at one site; where one Prometheus is silent they may be there."""
    asked = [one for one in seen if one.silent is None]
    found = [(one, target) for one in asked for target in one.targets]
    for name in measured:
        own = [(one, target) for one, target in found if target.contract == name]
        down = [(one, target) for one, target in own if target.health == "down"]
        if not own and len(asked) == len(seen):
            yield _trouble(seen[0], name, "none of its instances is read for metrics")
        elif own and len(down) == len(own):
            one, target = down[0]
            yield Verdict(
                kind=HOOK,
                name=name,
                good=False,
                says=f"its metrics can't be read: {target.url}: {target.error}",
                try_next=f"on {one.node}: curl -sS {target.url}",
            )


def _trouble(one: Seen, name: str, says: str) -> Verdict:
    refused = "; promtool refused what is new" if name in one.refused else ""
    return Verdict(
        kind=HOOK,
        name=name,
        good=False,
        says=f"Prometheus on {one.node}: {says}{refused}",
        try_next=f"on {one.node}: sudo journalctl -u consul-template -u prometheus -n 50",
    )


def _named(rule: LoadedRule) -> str:
    """`AppDown of shop`."""
    return f"{rule.name} of {rule.labels.get('contract') or rule.labels.get('component') or rule.file}"


def _some(lacks: Sequence[str]) -> str:
    more = f", and {len(lacks) - 3} more" if len(lacks) > 3 else ""
    return ", ".join(lacks[:3]) + more


def _sums(seen: Sequence[Seen], rules: Rules) -> Iterator[Verdict]:
    """Per site: how much there is and what fires now; or why nobody could be asked."""
    for site, contracts in rules.items():
        here = [one for one in seen if one.at.site == site]
        silent = "; ".join(
            f"{one.node} was not asked: {one.silent}" for one in here if one.silent is not None
        )
        asked = [one for one in here if one.silent is None]
        number = sum(len(group["rules"]) for groups in contracts.values() for group in groups)
        if not asked:
            says = f"not verified: {silent}; {number} alerts are in Consul, and it takes them when it is back"
            yield Verdict(kind=HOOK, name=site, good=True, sure=False, says=says)
        elif not any(_of_rules(asked, rules)):
            names = sorted({_named(rule) for one in asked for rule in one.rules if rule.firing})
            says = f"{number} loaded" + (f"; FIRING: {', '.join(names)}" if names else ", none fires")
            yield Verdict(
                kind=HOOK, name=site, good=True, sure=not silent, says="; ".join(filter(None, (says, silent)))
            )
