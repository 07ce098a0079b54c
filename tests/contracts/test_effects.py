"""Every setting does something: for each there are two values that compile, or are refused, differently."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from constructs_lib.contracts.check import unkept
from constructs_lib.contracts.compile import compile_contract
from constructs_lib.contracts.load import Loaded, parse_contract
from constructs_lib.contracts.model import AppContract
from constructs_lib.errors import ContractError
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.spec.document import Node
from tests.contracts.clusters import hybrid

FULL: dict[str, Any] = {
    "name": "shop",
    "owner": "shop@example.org",
    "on_call": "#shop",
    "dev": {
        "image": "shop:1",
        "args": ["--fast"],
        "runtime": {"kind": "jvm", "heap_percent": 50},
        "ports": {"http": 8080, "admin": 8081, "dns": 5353},
        "host_ports": {"http": 31080},
        "udp_ports": ["dns"],
        "health": {"path": "/healthz", "port": "http"},
        "readiness": {"path": "/ready", "port": "http"},
        "depends_on": ["db"],
        "env": {"A": "1"},
        "secrets": {"DB": "shop/db"},
        "state": {"volumes": {"data": {"path": "/data"}}},
        "metrics": {"port": "admin", "path": "/metrics"},
    },
    "ops": {
        "cpus": 0.5,
        "memory_mib": 512,
        "instances": 1,
        "pools": ["data"],
        "deploy": {"strategy": "recreate"},
        "route": {"host": "shop.example.org", "path": "/", "smoke": "/ok"},
        "backup": {"volume": "data", "to": "offsite", "before": {"command": "dump", "image": "dump:1"}},
        "alerts": {"runbook": "https://wiki.example.org/shop"},
    },
}
"""A contract that has most of what there is."""
STATELESS: dict[str, Any] = {
    "ops": {
        "pools": ["general"],
        "instances": 2,
        "backup": None,
        "deploy": {"strategy": "rolling"},
    },
    "dev": {"state": None, "host_ports": {}},
}
_CANARY: dict[str, Any] = {
    "strategy": "canary",
    "canary": {"checks": [{"name": "up", "query": "up", "lower": 1, "upper": 2}]},
}
CANARY = {**STATELESS, "ops": {**STATELESS["ops"], "deploy": _CANARY}}
SCALED = {**STATELESS, "ops": {**STATELESS["ops"], "instances": {"min": 1, "max": 2, "follow": "cpu"}}}
TWO_VOLUMES = {"dev": {"state": {"volumes": {"data": {"path": "/data"}, "more": {"path": "/more"}}}}}
Case = tuple[dict[str, Any], Any]
"""What is different from FULL to begin with, and the setting's other value."""
CASES: dict[str, Case] = {
    "name": ({}, "other"),
    "owner": ({}, "other@example.org"),
    "on_call": ({}, "#other"),
    "dev.image": ({}, "shop:2"),
    "dev.allow_latest": ({}, True),
    "dev.command": ({"dev": {"args": []}}, "other"),
    "dev.args": ({}, ["--slow"]),
    "dev.runtime.kind": ({}, "node"),
    "dev.runtime.heap_percent": ({}, 51),
    "dev.ports": ({}, {"http": 8082, "admin": 8081, "dns": 5353}),
    "dev.host_ports": ({}, {"http": 31081}),
    "dev.udp_ports": ({}, []),
    "dev.health.path": ({}, "/other"),
    "dev.health.tcp": ({}, True),
    "dev.health.command": ({}, "true"),
    "dev.health.port": ({}, "admin"),
    "dev.health.interval_seconds": ({}, 11),
    "dev.health.timeout_seconds": ({}, 4),
    "dev.health.failures": ({}, 7),
    "dev.health.grace_seconds": ({}, 1),
    "dev.health.restart": ({}, False),
    "dev.readiness.path": ({}, "/other"),
    "dev.readiness.tcp": ({}, True),
    "dev.readiness.port": ({}, "admin"),
    "dev.readiness.interval_seconds": ({}, 6),
    "dev.readiness.timeout_seconds": ({}, 1),
    "dev.depends_on": ({}, []),
    "dev.env": ({}, {"A": "2"}),
    "dev.secrets": ({}, {"OTHER": "shop/db"}),
    "dev.state.volumes": ({}, {"data": {"path": "/data"}, "more": {"path": "/more"}}),
    "dev.state.volumes.data.path": ({}, "/other"),
    "dev.state.volumes.data.kind": ({}, "shared"),
    "dev.state.volumes.data.read_only": ({"ops": {"backup": None}}, True),
    "dev.metrics.port": ({}, "http"),
    "dev.metrics.path": ({}, "/other"),
    "dev.logs.format": ({}, "json"),
    "dev.logs.max_mib": ({}, 21),
    "dev.stop_seconds": ({}, 31),
    "ops.cpus": ({}, 0.6),
    "ops.memory_mib": ({}, 513),
    "ops.disk_mib": ({}, 1),
    "ops.instances.min": ({**STATELESS}, {"min": 1, "max": 2, "follow": "cpu"}),
    "ops.instances.max": ({**STATELESS}, {"min": 2, "max": 3, "follow": "cpu"}),
    "ops.instances.follow": (SCALED, "memory"),
    "ops.instances.target": (SCALED, 0.1),
    "ops.instances.offset": (SCALED, 0.1),
    "ops.placement": ({}, "public"),
    "ops.sites": ({}, ["cloud"]),
    "ops.pools": (STATELESS, ["general", "data"]),
    "ops.attributes": ({}, {"tier": "web"}),
    "ops.nodes": ({}, ["10.20.80.4"]),
    "ops.spread.zones": (STATELESS, 3),
    "ops.spread.per_host": (STATELESS, 1),
    "ops.deploy.strategy": (STATELESS, "blue-green"),
    "ops.deploy.surge": (STATELESS, 2),
    "ops.deploy.min_healthy_seconds": ({}, 11),
    "ops.deploy.progress_deadline_seconds": ({}, 601),
    "ops.deploy.drain_seconds": ({}, 61),
    "ops.deploy.on_drain_timeout": ({}, "wait"),
    "ops.deploy.canary.percent": (CANARY, 6),
    "ops.deploy.canary.instances": (CANARY, 2),
    "ops.deploy.canary.seconds": (CANARY, 601),
    "ops.deploy.canary.min_requests": (CANARY, 101),
    "ops.deploy.canary.promote": (CANARY, "manual"),
    "ops.deploy.canary.checks[].name": (CANARY, "other"),
    "ops.deploy.canary.checks[].query": (CANARY, "other"),
    "ops.deploy.canary.checks[].lower": (CANARY, 0),
    "ops.deploy.canary.checks[].upper": (CANARY, 3),
    "ops.deploy.canary.checks[].dry_run": (CANARY, True),
    "ops.route.host": ({}, "other.example.org"),
    "ops.route.path": ({"ops": {"route": {"host": "shop.example.org", "path": "/"}}}, "/other"),
    "ops.route.smoke": ({}, "/other"),
    "ops.backup.volume": (TWO_VOLUMES, "more"),
    "ops.backup.what": ({}, "both"),
    "ops.backup.before.command": ({}, "other"),
    "ops.backup.before.image": ({}, "other:1"),
    "ops.backup.before.file": ({}, "other"),
    "ops.backup.before.load": ({}, "load"),
    "ops.backup.schedule": ({}, "hourly"),
    "ops.backup.keep.last": ({}, 1),
    "ops.backup.keep.hourly": ({}, 1),
    "ops.backup.keep.daily": ({}, 1),
    "ops.backup.keep.weekly": ({}, 1),
    "ops.backup.keep.monthly": ({}, 1),
    "ops.backup.keep.yearly": ({}, 1),
    "ops.backup.to": ({}, "other"),
    "ops.backup.encryption": ({}, False),
    "ops.backup.restore_test": ({}, "daily"),
    "ops.backup.verify": ({}, "true"),
    "ops.alerts.page": ({}, False),
    "ops.alerts.runbook": ({}, "https://wiki.example.org/other"),
    "ops.alerts.down_seconds": ({}, 121),
    "ops.alerts.min_percent": (STATELESS, 100),
    "ops.alerts.restarts_per_hour": ({}, 6),
    "ops.alerts.error_percent": ({}, 6),
    "ops.policy": ({}, "hybrid"),
    "ops.exceptions[].rule": (
        {"on_call": None, "ops": {"exceptions": [{"rule": "on-call", "reason": "r" * 10, "ticket": "#1"}]}},
        "alerts",
    ),
}
REFUSED = {
    "dev.state.volumes.data.kind": "the pool has no shared file system",
    "ops.placement": "got public, expected private by the policy private",
    "ops.sites": "the site is not among cloud",
    "ops.attributes": "tier is not set, asked is web",
    "ops.backup.to": "ops.backup.to: got other",
    "ops.backup.encryption": "ops.backup.encryption: got false",
    "ops.exceptions[].rule": "excuses alerts, which is not broken",
}
"""Settings whose other value is refused, which is their effect, and by what words."""
INSTEAD: dict[str, tuple[str, dict[str, Any]]] = {
    "dev.health.tcp": ("health", {"tcp": True, "port": "http"}),
    "dev.health.command": ("health", {"command": "true"}),
    "dev.readiness.tcp": ("readiness", {"tcp": True, "port": "http"}),
}
"""Ways to ask, of which there can be one: which check of `dev` gives way to it."""
NO_EFFECT = {
    "ops.exceptions[].reason": "for whoever reads it",
    "ops.exceptions[].ticket": "for whoever reads it",
}
"""Settings that are words for people."""


def merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    found = dict(base)
    for key, value in change.items():
        both = isinstance(value, dict) and isinstance(found.get(key), dict) and key in ("dev", "ops")
        found[key] = merged(found[key], value) if both else value
    return {key: value for key, value in found.items() if value is not None}


def put(data: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    key, *rest = path
    if key.endswith("[]"):
        items = data[key[:-2]]
        return data | {key[:-2]: [put(items[0], rest, value), *items[1:]]}
    return data | {key: put(data.get(key, {}), rest, value) if rest else value}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """What comes of a contract: what it compiles to, or what is said against it."""

    compiled: str = ""
    refused: str = ""


def outcome(settings: dict[str, Any], plan: ClusterPlan) -> Outcome:
    try:
        contract = parse_contract(json.dumps(settings))
    except ContractError as error:
        return Outcome(refused=str(error))
    loaded = Loaded(contract=contract, file="shop.yaml", root=Node(1, entries={}))
    problems = [str(problem) for problem in unkept({contract.name: loaded}, plan)]
    if problems:
        return Outcome(refused="\n".join(problems))
    return Outcome(compiled=json.dumps(dataclasses.asdict(compile_contract(contract, plan)), sort_keys=True))


PLAN = hybrid()


@pytest.mark.parametrize("path", CASES)
def test_a_setting_does_something(path: str) -> None:
    change, value = CASES[path]
    before = merged(FULL, change)
    where = path.split(".")
    if path.startswith("ops.instances.m"):
        where = ["ops", "instances"]
    if path in INSTEAD:
        check, value = INSTEAD[path]
        where = ["dev", check]
    first, second = outcome(before, PLAN), outcome(put(before, where, value), PLAN)
    assert first.compiled, first.refused
    if path in REFUSED:
        assert REFUSED[path] in second.refused, second
    else:
        assert second.compiled and second.compiled != first.compiled, second.refused


def test_only_cases_are_marked() -> None:
    assert REFUSED.keys() | INSTEAD.keys() <= CASES.keys()


def settings_of(model: type[BaseModel], path: str = "") -> Iterator[str]:
    """The path of every setting that has no settings below it."""
    for name, field in model.model_fields.items():
        here = f"{path}.{name}" if path else name
        below = list(_models(field.annotation))
        is_list = getattr(field.annotation, "__origin__", None) is tuple
        for each in below:
            suffix = "[]" if is_list else ".data" if name == "volumes" else ""
            yield from settings_of(each, f"{here}{suffix}")
        if not below:
            yield here


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def test_every_setting_has_its_case() -> None:
    assert set(settings_of(AppContract)) <= set(CASES) | set(NO_EFFECT)


def test_a_full_contract_is_one_that_the_cluster_keeps() -> None:
    for change in ({}, STATELESS, CANARY):
        assert outcome(merged(FULL, change), PLAN).compiled
