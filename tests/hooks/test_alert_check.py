"""Is Prometheus asked whether it has the rules and targets, and what is said where it has not?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from constructs_lib.hooks.alert_check import WAIT_SECONDS, alert_check
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.hook import Outcome
from scripts.embedded_aws import free_port
from tests.hooks.scripted_server import Asked, Jumps, Says, Scripted, scripted
from tests.hooks.simulated import compiled, contract

LABELS = {"severity": "page", "contract": "shop", "owner": "shop@example.org"}
WANTED = {
    "name": "shop",
    "rules": [
        {
            "alert": "AppDown",
            "expr": 'sum(up{contract="shop"}) < 1209600',
            "for": "90s",
            "labels": LABELS,
            "annotations": {"summary": "none"},
        }
    ],
}
TARGETS = ({"targets": ["shop.service.consul"], "labels": {"contract": "shop"}},)


def loaded(**other: Any) -> dict[str, Any]:
    rule = {
        "name": "AppDown",
        "query": 'sum(up{contract="shop"})\n  < 1.2096e+06',
        "duration": 90,
        "labels": LABELS,
        "annotations": {"summary": "none"},
        "health": "ok",
        "state": "inactive",
    }
    return rule | other


def target(health: str = "up", error: str = "") -> dict[str, Any]:
    return {
        "labels": {"contract": "shop"},
        "scrapeUrl": "http://10.0.0.9:31001/metrics",
        "health": health,
        "lastError": error,
    }


class Told:
    """What a Prometheus says; a list of rules is said one after the other."""

    def __init__(self) -> None:
        self.rules: list[list[dict[str, Any]]] = [[loaded()]]
        self.targets: list[dict[str, Any]] = [target()]
        self.refused: list[str] = []

    def __call__(self, asked: Asked) -> Says:
        if asked.path.startswith("/api/v1/rules"):
            now = self.rules.pop(0) if len(self.rules) > 1 else self.rules[0]
            file = "/etc/prometheus/contracts/rules/shop.yml"
            return Says(
                body={"data": {"groups": [{"name": "shop", "file": file, "rules": now}] if now else []}}
            )
        if asked.path.startswith("/api/v1/targets"):
            return Says(body={"data": {"activeTargets": self.targets}})
        series = [{"metric": {"contract": name}, "value": [0, "0"]} for name in self.refused]
        return Says(body={"data": {"resultType": "vector", "result": series}})


class Site:
    """A site with its Prometheus; `check` asks about the contract shop."""

    def __init__(self, start: Callable[[Told], Scripted]) -> None:
        self.start = start
        self.jumps = Jumps()
        self.said: list[str] = []
        self.told: list[Told] = []
        self.ports: list[int] = []

    def prometheus(self) -> Told:
        told = Told()
        self.told.append(told)
        self.ports.append(self.start(told).port)
        return told

    def check(self, *, serving: tuple[str, ...] = ("shop",), lost: str = "", **other: Any) -> Outcome:
        places = tuple(
            Instance(node=f"consul-{number}", site="eu", address="127.0.0.1", port=port)
            for number, port in enumerate(self.ports, 1)
        )
        endpoints = Endpoints(
            instances={"prometheus/eu": places}, lost={places[0].where: lost} if lost else {}
        )
        return alert_check(
            endpoints,
            compiled(contract("shop", rules=(WANTED,), targets=TARGETS)),
            {"eu": {"shop": [WANTED]}},
            serving,
            Deadline(600, self.jumps.clock),
            say=self.said.append,
            **other,
        )


@pytest.fixture
def eu() -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(lambda told: stack.enter_context(scripted(told)))


def words(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(one.mark, one.name, one.says) for one in outcome.verdicts]


def test_rules_that_are_loaded_as_prometheus_writes_them_cost_one_look(eu: Site) -> None:
    eu.prometheus()

    assert words(eu.check()) == [("ok", "eu", "1 loaded, none fires")]
    assert eu.jumps.slept == [] and eu.said == []


def test_what_fires_is_named(eu: Site) -> None:
    eu.prometheus().rules = [[loaded(state="firing")]]

    assert words(eu.check()) == [("ok", "eu", "1 loaded; FIRING: AppDown of shop")]


def test_rules_that_are_still_on_their_way_are_waited_for(eu: Site) -> None:
    eu.prometheus().rules = [[], [], [loaded(query="sum(up) < 1")], [loaded()]]

    assert eu.check().good
    assert len(eu.jumps.slept) == 3
    assert eu.said == [
        "waiting for alerts of shop: Prometheus on consul-1.eu: group shop is not loaded",
        "waiting for alerts of shop: Prometheus on consul-1.eu: alert AppDown is loaded as it was before",
    ]


@pytest.mark.parametrize(
    ("rules", "says"),
    [
        ([], "group shop is not loaded"),
        ([loaded(name="Other")], "alert AppDown is not loaded"),
        ([loaded(query="up < 1")], "alert AppDown is loaded as it was before"),
        ([loaded(duration=60)], "alert AppDown is loaded as it was before"),
        ([loaded(labels={})], "alert AppDown is loaded as it was before"),
        ([loaded(annotations={})], "alert AppDown is loaded as it was before"),
        ([loaded(health="err", lastError="many-to-many")], "alert AppDown can't be evaluated: many-to-many"),
    ],
)
def test_rules_that_never_come_fail_with_the_alert_the_node_and_the_command(
    eu: Site, rules: list[dict[str, Any]], says: str
) -> None:
    eu.prometheus().rules = [rules]

    outcome = eu.check()

    (verdict,) = outcome.verdicts
    assert not outcome.good
    assert (verdict.name, verdict.says) == ("shop", f"Prometheus on consul-1.eu: {says}")
    assert verdict.try_next == "on consul-1.eu: sudo journalctl -u consul-template -u prometheus -n 50"
    assert WAIT_SECONDS <= eu.jumps.time - 1000 < WAIT_SECONDS + 2


def test_it_says_that_promtool_refused_them(eu: Site) -> None:
    told = eu.prometheus()
    told.rules, told.refused = [[loaded(duration=1)]], ["shop"]

    assert eu.check(wait=0).verdicts[0].says.endswith("as it was before; promtool refused what is new")


def test_asked_once_nothing_is_waited_for(eu: Site) -> None:
    eu.prometheus().rules = [[]]

    assert not eu.check(wait=0).good
    assert eu.jumps.slept == []


def test_a_prometheus_that_is_down_fails_nothing_and_is_told(eu: Site) -> None:
    eu.ports.append(free_port())

    outcome = eu.check()

    assert outcome.good
    assert words(outcome)[0][:2] == ("?", "eu")
    says = outcome.verdicts[0].says
    assert says.startswith("not verified: consul-1.eu was not asked: connection refused")
    assert "1 alerts are in Consul" in says


def test_one_that_ssh_does_not_reach_is_told_without_a_request(eu: Site) -> None:
    eu.prometheus()
    eu.prometheus()

    (verdict,) = eu.check(lost="consul-1.eu: connection timed out").verdicts

    assert verdict.good and verdict.mark == "?"
    assert verdict.says == (
        "1 loaded, none fires; consul-1.eu was not asked: consul-1.eu: connection timed out"
    )


def test_each_prometheus_of_a_site_has_to_have_them(eu: Site) -> None:
    eu.prometheus()
    eu.prometheus().rules = [[]]

    (verdict,) = eu.check(wait=0).verdicts

    assert verdict.says == "Prometheus on consul-2.eu: group shop is not loaded"


def test_metrics_that_nobody_reads_fail_unless_nothing_runs(eu: Site) -> None:
    eu.prometheus().targets = []

    assert words(eu.check(serving=())) == [("ok", "eu", "1 loaded, none fires")]
    assert words(eu.check(wait=0))[1] == (
        "NOT",
        "shop",
        "Prometheus on consul-1.eu: none of its instances is read for metrics",
    )


def test_an_instance_that_was_not_read_yet_or_one_that_answers_is_enough(eu: Site) -> None:
    told = eu.prometheus()
    for seen in ([target("unknown")], [target("down", "gone"), target()]):
        told.targets = seen
        assert eu.check(wait=0).good


def test_metrics_that_no_instance_gives_are_told_with_what_prometheus_says(eu: Site) -> None:
    eu.prometheus().targets = [target("down", "server returned HTTP status 404 Not Found")]

    verdict = eu.check(wait=0).verdicts[1]

    assert verdict.says == (
        "its metrics can't be read: http://10.0.0.9:31001/metrics: server returned HTTP status 404 Not Found"
    )
    assert verdict.try_next == "on consul-1.eu: curl -sS http://10.0.0.9:31001/metrics"


def test_what_is_no_answer_of_prometheus_is_no_verdict_about_rules(eu: Site) -> None:
    with scripted(Says(body={"status": "success"})) as odd:
        eu.ports.append(odd.port)
        (verdict,) = eu.check().verdicts

    assert verdict.mark == "?" and "its answer holds no data" in verdict.says


def test_a_platform_without_prometheus_is_not_asked() -> None:
    assert alert_check(Endpoints(instances={}), compiled(), {}, (), Deadline(1)).verdicts == ()
