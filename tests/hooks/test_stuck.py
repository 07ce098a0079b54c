"""What a deployment says that is stuck: simulated Marathon and Mesos, real Consul, the words of `explain`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.hooks import by_hand
from constructs_lib.hooks.deploying import rollout_of
from constructs_lib.hooks.documents import Kept
from constructs_lib.hooks.explain import Explanation
from constructs_lib.hooks.explaining import explain_contract
from constructs_lib.hooks.hook import Verdict
from constructs_lib.hooks.observed import Health, Instance, Observed, Progress, Version
from constructs_lib.hooks.pipeline import run_apps
from constructs_lib.hooks.standing import Standing
from constructs_lib.hooks.steps import Step, Wait
from constructs_lib.hooks.stuck import FIRST_SECONDS, Ended, Stuck
from constructs_lib.hooks.watching import Picture
from constructs_lib.simulator.cluster import Agent, Fault
from constructs_lib.simulator.cluster.profiles import Profile
from tests.hooks.rolling_platform import Platform


def asks(contract: CompiledContract, **body: Any) -> CompiledContract:
    return replace(contract, app=replace(contract.app, body={**contract.app.body, **body}))


def at_port(number: int) -> dict[str, Any]:
    mappings = [{"containerPort": 80, "hostPort": number}]
    container = {"type": "DOCKER", "docker": {"image": "a/b:1"}, "portMappings": mappings}
    return {"container": container, "networks": [{"mode": "container/bridge"}]}


def applied(platform: Platform, *contracts: CompiledContract, seconds: float = 5000.0) -> dict[str, Verdict]:
    """What `apply` makes of them; `platform.told` has its progress."""
    compiled = Compiled(cluster="shop", contracts=contracts)
    with platform.connected() as found:
        rollout = rollout_of(found, compiled)
        apps = platform.applications(*contracts)
        apps._deploy = rollout.deploy
        outcome = run_apps(compiled, apps, platform.deadline(seconds), platform.told.append)
    return {one.name: one for one in outcome.verdicts}


def agent_of(platform: Platform) -> Agent:
    (agent,) = platform.cluster.world.agents.values()
    return agent


def nothing(_platform: Platform) -> None:
    pass


def another_has_the_port(platform: Platform) -> None:
    body = {"cmd": "run", "cpus": 0.1, "mem": 32, "instances": 1, **at_port(31500)}
    platform.rollout().marathon.put("/other", {**body, "constraints": [["@region", "IS", "eu"]]})
    platform.cluster.advance(30)


def reserved(platform: Platform) -> None:
    agent_of(platform).role = "batch"


def of_another_site(platform: Platform) -> None:
    agent_of(platform).region = "dc1"


@pytest.mark.parametrize(
    ("prepare", "body", "reason", "helps"),
    [
        (
            another_has_the_port,
            at_port(31500),
            "host port 31500 is not among those offered (31000-31499, 31501-32000)",
            "more or larger agents",
        ),
        (reserved, {}, "role 'batch' is offered, '*' is accepted", "agents that offer this role"),
    ],
    ids=["host port", "role"],
)
def test_a_version_that_no_agent_takes_now_is_given_up_with_each_agents_arithmetic(
    prepare: Callable[[Platform], None], body: dict[str, Any], reason: str, helps: str, platform: Platform
) -> None:
    prepare(platform)
    stuck = asks(platform.contract("v1"), **body)

    verdict = applied(platform, stuck)[platform.name]

    assert not verdict.good and verdict.explanation is not None
    (agent,) = verdict.explanation.agents
    assert reason in agent.reasons
    assert f"nearest is 10.0.0.2: {'; '.join(agent.reasons)}" in verdict.says
    assert (verdict.try_next or "").startswith(helps) and "--retry" in (verdict.try_next or "")
    assert set(verdict.explanation.lines()) <= set(platform.told)
    given_up = platform.told.index(next(verdict.explanation.lines()))
    assert f"version v1 is given up: {reason_of(verdict)}" in platform.told[given_up]
    assert any("goes back" in line for line in platform.told[given_up:])
    waited = [line for line in platform.told[:given_up] if line.endswith(f"nearest is 10.0.0.2: {reason}")]
    assert waited and "waits for instances of v1 to be happy" in waited[0]


@pytest.mark.parametrize(
    ("prepare", "body", "reason", "helps"),
    [
        (nothing, {"cpus": 99}, "cpus: 99 asked, 4 free, 95 missing", "more or larger agents"),
        (
            nothing,
            {"constraints": [["@region", "IS", "eu"], ["pool", "LIKE", "data"]]},
            "constraint pool LIKE data: the agent does not say it",
            "loosen placement in the contract",
        ),
        (
            of_another_site,
            {"constraints": []},
            "is in region dc1, the masters are in eu: Marathon refuses it without a word unless a constraint "
            "names @region",
            "clustermesos apply: what contracts compile to",
        ),
        (
            of_another_site,
            {},
            "constraint @region IS eu: it is 'dc1'",
            "loosen placement in the contract",
        ),
    ],
    ids=["cpus", "constraint", "region without a word", "region"],
)
def test_a_version_that_no_agent_can_ever_take_is_not_begun_and_told_with_each_agents_arithmetic(
    prepare: Callable[[Platform], None], body: dict[str, Any], reason: str, helps: str, platform: Platform
) -> None:
    prepare(platform)
    stuck = asks(platform.contract("v1"), **body)

    verdict = applied(platform, stuck)[platform.name]

    assert verdict.says.startswith("not begun, and nothing was changed: no agent can take an instance")
    assert verdict.explanation is not None
    (agent,) = verdict.explanation.agents
    assert agent.reasons == (reason,)
    assert (verdict.try_next or "").startswith(helps)
    assert (verdict.try_next or "").endswith("; then clustermesos apply")
    assert set(verdict.explanation.lines()) <= set(platform.told)
    assert platform.running() == {}


def reason_of(verdict: Verdict) -> str:
    return verdict.says.removeprefix("turned round: ").partition(";")[0]


def test_a_version_whose_tasks_end_is_given_up_with_its_last_failure_and_who_still_serves(
    platform: Platform,
) -> None:
    platform.deploy(platform.contract("v1"))
    platform.cluster.profile("*/v2", Profile(healthy_after=None, fails_after=1.0))

    verdict = applied(platform, platform.contract("v2"))[platform.name]

    assert "crash loop" in verdict.says and "; last failure: TASK_FAILED on 10.0.0.2" in verdict.says
    assert verdict.try_next == (
        "its output: on 10.0.0.2, sudo docker ps --all, sudo docker logs; then another version in the "
        "contract, or clustermesos apply --retry"
    )
    assert verdict.explanation is not None
    assert [(one.app, one.good) for one in verdict.explanation.others] == [(f"/{platform.name}/v1", True)]


def test_one_that_never_gets_healthy_is_given_up_with_what_its_health_check_said(platform: Platform) -> None:
    platform.cluster.profile("*", Profile(healthy_after=None))

    (check,) = platform.contract("v1").app.body["healthChecks"]
    patient = asks(platform.contract("v1"), healthChecks=[{**check, "maxConsecutiveFailures": 100}])

    verdict = applied(platform, patient)[platform.name]

    assert "no progress for 60 s" in verdict.says and "; health check of" in verdict.says, verdict.says


def test_what_is_stuck_behind_a_contract_that_it_needs_names_the_first_one_in_trouble(
    platform: Platform,
) -> None:
    platform.cluster.inject(Fault(kind="no_offers", seconds=10**6))
    stuck = replace(platform.contract("v1"), depends_on=("db",))
    db = replace(platform.contract("v1"), name="db")
    compiled = Compiled(cluster="shop", contracts=(db, stuck))
    with platform.connected() as found:
        end = rollout_of(found, compiled).deploy(stuck, platform.deadline(), platform.told.append)

    assert isinstance(end, Ended)
    assert end.found.why.endswith("; waits for db: no version of it was ever deployed"), end.found.why
    assert (end.found.try_next or "").startswith("clustermesos explain db")


def test_what_is_not_begun_names_the_chain_and_the_contract_that_is_to_be_looked_at(
    platform: Platform,
) -> None:
    def one(name: str, *needs: str, **body: Any) -> CompiledContract:
        labels = {f"clustermesos/{key}": value for key, value in (("cluster", "shop"), ("contract", name))}
        made = asks(platform.contract("v1"), labels={**labels, "clustermesos/version": "v1"}, **body)
        return replace(made, name=name, depends_on=needs, app=replace(made.app, id=f"/{name}/v1"))

    db, catalog, shop = (f"{platform.name}-{name}" for name in ("db", "catalog", "shop"))
    found = applied(platform, one(db, cpus=99), one(catalog, db), one(shop, catalog))

    assert found[catalog].says == f"not touched: it depends on {db}, which is not as its contract says"
    assert found[shop].says == (
        f"not touched: it depends on {catalog}, which needs {db}, which is not as its contract says"
    )
    assert found[shop].try_next == f"clustermesos explain {db}"


def test_a_deployment_that_is_out_of_time_says_what_it_waited_for_and_goes_on(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))

    verdict = applied(platform, asks(platform.contract("v2"), cpus=3.9), seconds=30.0)[platform.name]

    assert "not done in time" in verdict.says and "cpus: 3.9 asked, 3.8 offered" in verdict.says
    assert verdict.explanation is not None
    assert verdict.explanation.why.startswith("version v2 is being deployed (rolling) and waits for")
    assert (verdict.try_next or "").startswith("more or larger agents")


def test_the_words_are_those_of_explain(platform: Platform) -> None:
    stuck = asks(platform.contract("v1"), cpus=99)

    verdict = applied(platform, stuck, seconds=30.0)[platform.name]

    with platform.connected() as found:
        asked = explain_contract(found, Compiled(cluster="shop", contracts=(stuck,)), platform.name)
    assert verdict.explanation is not None
    assert verdict.explanation.agents == asked.agents
    assert (verdict.explanation.why, verdict.explanation.try_next) == (asked.why, asked.try_next)


def test_masters_that_do_not_answer_change_nothing_but_what_is_known(platform: Platform) -> None:
    platform.cluster.inject(Fault(kind="status", status=500, program="mesos", seconds=10**6))

    verdict = applied(platform, asks(platform.contract("v1"), cpus=99))[platform.name]

    assert verdict.says.startswith("turned round: no progress for 60 s") and verdict.explanation is None
    assert verdict.try_next == f"clustermesos explain {platform.name}"


def test_a_deployment_that_goes_well_asks_nobody_why(platform: Platform) -> None:
    compiled = Compiled(cluster="shop", contracts=(platform.contract("v1"),))
    with platform.connected() as found:
        rollout = rollout_of(found, compiled)
        assert rollout.deploy(compiled.contracts[0], platform.deadline(), platform.told.append).good

        assert sum(one.client.requests for one in found.witnesses(1.0)) == 0


class Counting:
    def __init__(self) -> None:
        self.asked = 0

    def explain(self, contract: CompiledContract, _picture: Picture, _stands: Standing | None) -> Explanation:
        self.asked += 1
        why = f"asked {self.asked} times"
        return Explanation(
            contract=contract.name, app="", good=False, why=why, facts=(), agents=(), try_next=None
        )


def test_while_nothing_happens_it_is_asked_after_times_that_double(platform: Platform) -> None:
    asked = Counting()
    stuck = Stuck(contract=platform.contract("v1"), explainer=asked, say=lambda _: None)
    starting = Version(version="v1", asked=1, instances=(Instance(task="t", health=Health.STARTING),))

    def reason(now: float, progressed: float = 0.0, version: Version = starting) -> str:
        progress = Progress(version="v1", progressed=progressed, done=False)
        observed = Observed(now=now, versions={"v1": version}, progress=progress)
        picture = Picture(observed=observed, kept=Kept(), services={}, problems={})
        return stuck.waiting(Step(progress=progress, wait=Wait(what="it")), picture)

    assert [reason(second) for second in range(int(FIRST_SECONDS))] == [""] * int(FIRST_SECONDS)
    said = [reason(second) for second in range(int(FIRST_SECONDS), 1000)]
    assert said[0] == "; asked 1 times" and said[-1] == "; asked 6 times"
    assert reason(1001, progressed=1000) == ""
    happy = replace(starting, instances=(Instance(task="t", health=Health.HAPPY),))
    assert reason(2000, progressed=1000, version=happy) == "" and asked.asked == 6


def test_what_depends_on_one_whose_former_version_serves_is_deployed(platform: Platform) -> None:
    catalog = platform.contract("v1")
    platform.deploy(catalog)
    bad = platform.contract("v2")
    by_hand.refuse(platform.rollout().documents, platform.name, "v2", "rolled back by ops")
    name = f"{platform.name}-shop"
    labels = {**catalog.app.body["labels"], "clustermesos/contract": name}
    app = replace(catalog.app, id=f"/{name}/v1", body={**catalog.app.body, "labels": labels})
    shop = replace(catalog, name=name, app=app, depends_on=(platform.name,))

    found = applied(platform, bad, shop)

    assert not found[platform.name].good and found[name].good
    assert (
        f"{name}: goes on: {platform.name} is not as its contract says, but enough of it serves"
        in platform.told
    )
    platform.rollout().marathon.scale(catalog.app.id, 1, force=True)
    platform.cluster.advance(60)
    changed = replace(shop, app=asks(shop, cpus=0.2).app)
    found = applied(platform, bad, changed)
    assert found[name].says.startswith(f"not touched: it depends on {platform.name}")
