from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import AppVersion, Compiled, CompiledContract, Deployment, Instances
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.pipeline import run_hook
from constructs_lib.hooks.settings import FOLDER, RULES, TARGETS, Settings
from tests.hooks.consul_server import ConsulServer


def compiled(**settings: str) -> Compiled:
    contract = CompiledContract(
        name="shop",
        cluster="demo",
        owner="shop@example.org",
        app=AppVersion(id="/shop/1", version="1", body={}, checked=False),
        instances=Instances(min=1, max=1),
        deployment=Deployment(strategy="rolling"),
        settings={key.replace("__", "/"): value for key, value in settings.items()},
    )
    return Compiled(cluster="demo", contracts=(contract,))


def alerting(*rules: dict[str, Any]) -> Compiled:
    (contract,) = compiled(contracts__shop="{}").contracts
    targets = ({"targets": ["shop.service.consul"], "labels": {"contract": "shop"}},)
    groups = ({"name": "shop", "rules": list(rules)},) if rules else ()
    return Compiled(cluster="demo", contracts=(replace(contract, rules=groups, targets=targets),))


@pytest.fixture
def kept(consul_at: ConsulServer) -> Iterator[Consul]:
    client = Client(Target(name="consul", bases=(consul_at.url,)), Deadline(60))
    api = Consul(client, consul_at.token)
    api.kv.delete("clustermesos/", recurse=True)
    yield api
    api.kv.delete("clustermesos/", recurse=True)
    client.close()


def test_settings_are_made_changed_and_then_left_alone(kept: Consul) -> None:
    said: list[str] = []

    first = run_hook(Settings({"eu": kept}, compiled(shop__colour="blue", shop__size="1")), said.append)
    assert [(one.action, one.name) for one in first.changes] == [
        ("create", f"eu:{FOLDER}shop/colour"),
        ("create", f"eu:{FOLDER}shop/size"),
    ]
    second = run_hook(Settings({"eu": kept}, compiled(shop__colour="red", shop__size="1")), said.append)
    assert [(one.action, one.name) for one in second.changes] == [("update", f"eu:{FOLDER}shop/colour")]
    third = run_hook(Settings({"eu": kept}, compiled(shop__colour="red", shop__size="1")), said.append)
    assert not third.changes
    assert all(outcome.good for outcome in (first, second, third))
    assert kept.kv.get(f"{FOLDER}shop/colour")[1]["Value"] == b"red"


def test_values_are_told_by_their_length_alone(kept: Consul) -> None:
    run_hook(Settings({"eu": kept}, compiled(shop__a="first-value")), lambda _: None)
    (change,) = run_hook(Settings({"eu": kept}, compiled(shop__a="other")), lambda _: None).changes

    assert change.details == ("11 → 5 bytes",)


def test_of_a_document_the_fields_that_change_are_told_without_their_values(kept: Consul) -> None:
    run_hook(Settings({"eu": kept}, compiled(shop__a='{"version": "1", "owner": "ann"}')), lambda _: None)
    new = '{"version": "2", "owner": "ann", "host": "h"}'
    (change,) = run_hook(Settings({"eu": kept}, compiled(shop__a=new)), lambda _: None).changes

    assert change.details == ("host: changed", "version: changed")


def test_what_no_contract_names_goes_only_with_prune_and_never_what_is_not_a_setting(kept: Consul) -> None:
    kept.kv.put("clustermesos/routes/shop", "{}")
    kept.kv.put("somebody/else", "1")
    run_hook(Settings({"eu": kept}, compiled(shop__a="1")), lambda _: None)

    left = run_hook(Settings({"eu": kept}, compiled()), lambda _: None)
    assert [(one.action, one.name) for one in left.changes] == [("keep", f"eu:{FOLDER}shop/a")]
    assert kept.kv.get(f"{FOLDER}shop/a")[1] is not None

    run_hook(Settings({"eu": kept}, compiled(), prune=True), lambda _: None)
    assert kept.kv.get(f"{FOLDER}shop/a")[1] is None
    assert kept.kv.get("clustermesos/routes/shop")[1] is not None
    assert kept.kv.get("somebody/else")[1] is not None
    kept.kv.delete("somebody/else")


def test_a_site_that_lacks_them_is_not_good_and_names_the_command(kept: Consul) -> None:
    hook = Settings({"eu": kept}, compiled(shop__a="1", shop__b="2"))
    (verdict,) = hook.verify({"eu": {f"{FOLDER}shop/a": b"1"}})

    assert (verdict.good, verdict.says, verdict.try_next) == (
        False,
        "1 of 2 are missing",
        "clustermesos apply",
    )


@pytest.mark.slow
def test_an_unreachable_consul_is_the_outcomes_error_and_nothing_is_claimed(kept: Consul) -> None:
    away = Consul(Client(Target(name="consul", bases=("http://127.0.0.1:9",)), Deadline(1)), "t")
    outcome = run_hook(Settings({"eu": kept, "dc1": away}, compiled(shop__a="1")), lambda _: None)

    assert not outcome.good
    assert "connection refused" in str(outcome.error)
    assert outcome.changes == ()


def test_a_key_that_is_refused_keeps_no_other_from_being_written(kept: Consul) -> None:
    said: list[str] = []
    # More than Consul takes for one value.
    outcome = run_hook(Settings({"eu": kept}, compiled(shop__a="x" * 600_000, shop__b="2")), said.append)

    (verdict,) = outcome.verdicts
    assert outcome.error is None and not verdict.good
    assert verdict.says.startswith(f"1 of 2 are missing; {FOLDER}shop/a: ")
    assert kept.kv.get(f"{FOLDER}shop/b")[1]["Value"] == b"2"


@pytest.mark.slow
def test_a_site_that_is_lost_in_between_keeps_no_other_from_its_settings(kept: Consul) -> None:
    away = Consul(Client(Target(name="consul", bases=("http://127.0.0.1:9",)), Deadline(1)), "t")
    hook = Settings({"dc1": away, "eu": kept}, compiled(shop__a="1", shop__b="2"))
    state = {"dc1": dict[str, bytes](), "eu": dict[str, bytes]()}
    said: list[str] = []

    hook.apply(state, hook.diff(state), said.append)

    assert kept.kv.get(f"{FOLDER}shop/b")[1]["Value"] == b"2"
    assert sum("connection refused" in line for line in said) == 1, "it is asked once"
    lost, _ = hook.verify(state)
    assert "connection refused" in lost.says


def test_rules_and_targets_are_written_beside_the_settings_by_one_read(kept: Consul) -> None:
    wanted = alerting({"alert": "AppDown", "expr": "up < 1"})
    before = kept._client.requests

    run_hook(Settings({"eu": kept}, wanted), lambda _: None)

    assert kept._client.requests - before == 2 + 3, "read, three values, read"
    groups = [{"name": "shop", "rules": [{"alert": "AppDown", "expr": "up < 1"}]}]
    assert json.loads(kept.kv.get(f"{RULES}shop")[1]["Value"]) == groups
    (target,) = json.loads(kept.kv.get(f"{TARGETS}shop")[1]["Value"])
    assert target["targets"] == ["shop.service.consul"]
    again = run_hook(Settings({"eu": kept}, wanted), lambda _: None)
    assert again.good and not again.changes


def test_a_site_gets_no_rules_about_what_runs_elsewhere(kept: Consul) -> None:
    (contract,) = alerting({"alert": "AppDown", "expr": "up < 1"}).contracts
    home_only = Compiled(cluster="demo", contracts=(replace(contract, rule_sites={"shop": ("home",)}),))

    there = run_hook(Settings({"cloud": kept}, home_only), lambda _: None)

    assert there.good and not [one for one in there.changes if one.kind == "rules"]
    assert kept.kv.get(f"{RULES}shop")[1] is None
    assert [one.kind for one in Settings({"home": kept}, home_only).diff({"home": {}})].count("rules") == 1


def test_a_diff_of_rules_names_the_alerts(kept: Consul) -> None:
    run_hook(
        Settings({"eu": kept}, alerting({"alert": "A", "expr": "a"}, {"alert": "B", "expr": "b"})),
        lambda _: None,
    )
    (change,) = run_hook(
        Settings({"eu": kept}, alerting({"alert": "B", "expr": "b > 1"}, {"alert": "C", "expr": "c"})),
        lambda _: None,
    ).changes

    assert (change.kind, change.action, change.name) == ("rules", "update", f"eu:{RULES}shop")
    assert change.details == ("alert added: C", "alert removed: A", "alert changed: B")


def test_rules_that_a_contract_gave_up_are_pruned_like_everything_else(kept: Consul) -> None:
    run_hook(Settings({"eu": kept}, alerting({"alert": "A", "expr": "a"})), lambda _: None)

    (left,) = run_hook(Settings({"eu": kept}, alerting()), lambda _: None).changes
    assert (left.kind, left.action) == ("rules", "keep")
    (gone,) = run_hook(Settings({"eu": kept}, alerting(), prune=True), lambda _: None).changes
    assert (gone.kind, gone.action) == ("rules", "delete")
    assert kept.kv.get(f"{RULES}shop")[1] is None


@pytest.mark.parametrize("there", [b"{", b"null", b"[1]", b'[{"rules": [{}]}]', b'[{"rules": [7]}]'])
def test_rules_that_cannot_be_read_are_replaced(kept: Consul, there: bytes) -> None:
    wanted = alerting({"alert": "A", "expr": "a"})
    run_hook(Settings({"eu": kept}, wanted), lambda _: None)
    kept.kv.put(f"{RULES}shop", there)

    (change,) = run_hook(Settings({"eu": kept}, wanted), lambda _: None).changes

    assert change.details == ("alert added: A",)


def test_each_sites_own_rules_stand_beside_the_contracts_and_are_never_pruned(kept: Consul) -> None:
    own = {"eu": ({"name": "base", "rules": [{"alert": "NodeDown", "expr": "up == 0"}]},)}
    hook = Settings({"eu": kept}, compiled(), platform=own, prune=True)

    (change,) = run_hook(hook, lambda _: None).changes
    assert (change.name, change.contract) == (f"eu:{RULES}clustermesos", None)
    assert change.details == ("alert added: NodeDown",)
    assert not run_hook(hook, lambda _: None).changes
    assert json.loads(kept.kv.get(f"{RULES}clustermesos")[1]["Value"]) == list(own["eu"])
