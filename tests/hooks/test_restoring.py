"""A restore's order of steps, against the simulator; what its jobs do: tests/contracts/test_restore.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from constructs_lib.contracts.compiled import Compiled, CompiledContract, Route
from constructs_lib.errors import HookError
from constructs_lib.hooks.chronos import Chronos
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.jobs import owner
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.restoring import restore, unlock_after_restore
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import Fault, Profile, SimulatedCluster
from constructs_lib.spec.load import load
from tests.hooks.rolling_platform import Platform as Rolling
from tests.hooks.scripted_server import scripted
from tests.hooks.served import edge_says
from tests.hooks.simulated import CLUSTER, clock_of, compiled, contract, marathon_of

ROOT = Path(__file__).parents[2]


def job(name: str, **environment: str) -> dict[str, Any]:
    return {
        "name": name,
        "command": "true",
        "cpus": 0.1,
        "mem": 64,
        "environmentVariables": [{"name": k, "value": v} for k, v in environment.items()],
    }


def with_data(*jobs: dict[str, Any]) -> CompiledContract:
    restores = jobs or (job("db.restore", SNAPSHOT="latest"),)
    return contract("db", count=1, restores=restores, stops_to_restore=True)


@pytest.fixture
def sim() -> Iterator[SimulatedCluster]:
    with SimulatedCluster() as cluster:
        yield cluster


@contextmanager
def platform_of(sim: SimulatedCluster, seconds: float = 3600) -> Iterator[Platform]:
    found = {
        program: tuple(
            Instance(node=f"simulator-{number}", site="eu", address=host, port=int(port))
            for number, (host, port) in enumerate(
                (address.split(":") for address in sim.instances[program].addresses), start=1
            )
        )
        for program in ("mesos", "marathon", "chronos")
    }
    planned = plan(load(ROOT / "cluster.yaml"), None)
    endpoints = Endpoints(instances=found, simulator=True)
    with Platform(planned, endpoints, Deadline(seconds, clock_of(sim)), {}) as platform:
        yield platform


def up(sim: SimulatedCluster, one: CompiledContract) -> None:
    with marathon_of(sim) as marathon:
        marathon.put(one.app.id, {**one.app.body, "instances": 1})
    sim.advance(60)


class Said(Protocol):
    def append(self, line: str, /) -> None: ...


def done(
    sim: SimulatedCluster, one: CompiledContract, said: Said, node: str | None = None, **also: Any
) -> str:
    with platform_of(sim, **also) as platform:
        return restore(platform, compiled(one), "db", snapshot="1a2b3c4d", node=node, say=said.append)


def test_the_application_stands_still_while_its_volume_is_restored_and_no_job_is_left(
    sim: SimulatedCluster,
) -> None:
    db = with_data()
    said: list[str] = []
    up(sim, db)

    assert done(sim, db, said) == "db: snapshot 1a2b3c4d is back"
    assert said == [
        "db.find: started",
        "db.find: done",
        "/db/1a2b3c4d: stopped while its data is restored",
        "db.restore: started",
        "db.restore: done",
        "/db/1a2b3c4d: 1 instance again",
    ]
    sim.advance(60)
    assert len(sim.tasks("/db/1a2b3c4d")) == 1
    with platform_of(sim) as platform:
        assert platform.chronos.jobs() == ()


def test_a_dump_is_restored_while_the_application_runs_and_then_loaded(sim: SimulatedCluster) -> None:
    db = replace(with_data(job("db.restore", SNAPSHOT="latest"), job("db.load")), stops_to_restore=False)
    said: list[str] = []
    up(sim, db)

    assert done(sim, db, said).endswith("is back, and loaded")
    jobs = ("db.find", "db.restore", "db.load")
    assert said == [f"{job}: {word}" for job in jobs for word in ("started", "done")]


def test_a_restore_that_fails_starts_the_application_again_and_says_so(sim: SimulatedCluster) -> None:
    db = with_data()
    said: list[str] = []
    up(sim, db)
    sim.profile("db.restore*", Profile(fail_rate=1.0))

    with pytest.raises(HookError, match=r"db\.restore: failed .*; what was there before is there again"):
        done(sim, db, said)

    assert said[-1] == "/db/1a2b3c4d: 1 instance again"
    sim.advance(60)
    assert len(sim.tasks("/db/1a2b3c4d")) == 1


def test_a_dump_that_can_t_be_loaded_is_not_said_to_be_undone(sim: SimulatedCluster) -> None:
    db = replace(with_data(job("db.restore", SNAPSHOT="latest"), job("db.load")), stops_to_restore=False)
    said: list[str] = []
    up(sim, db)
    sim.profile("db.load*", Profile(fail_rate=1.0))

    with pytest.raises(HookError, match=r"db\.load: failed .*; the dump is back .*: restore again"):
        done(sim, db, said)


def test_each_node_with_data_is_restored_by_its_own_job(sim: SimulatedCluster) -> None:
    jobs = [job(f"db.restore.10-20-16-{n}", SNAPSHOT="latest") for n in (4, 5)]
    db = with_data(*jobs)
    said: list[str] = []
    up(sim, db)

    with pytest.raises(HookError, match=r"--node: got None, expected one of 10\.20\.16\.4, 10\.20\.16\.5"):
        done(sim, db, said)
    assert said == []
    done(sim, db, said, node="10.20.16.5")
    assert "db.restore.10-20-16-5: done" in said
    sim.profile("db.restore*", Profile(fail_rate=1.0))
    sim.profile("db.undo*", Profile(fail_rate=1.0))
    with pytest.raises(HookError, match=r"next: clustermesos restore db --node 10\.20\.16\.4, which begins"):
        done(sim, db, said, node="10.20.16.4")


def test_a_contract_without_a_backup_has_nothing_to_restore(sim: SimulatedCluster) -> None:
    with pytest.raises(HookError, match=r"db: its contract has no backup"):
        done(sim, contract("db"), [])


def again(sim: SimulatedCluster) -> bool:
    """Whether the application runs, and no job is left."""
    sim.heal()
    sim.advance(60)
    with platform_of(sim) as platform:
        left = [job["name"] for job in platform.chronos.jobs()]
    return len(sim.tasks("/db/1a2b3c4d")) == 1 and left == []


def stopped(said: list[str]) -> bool:
    return any("stopped while" in line for line in said)


def test_no_agent_for_the_job_ends_in_time_and_nothing_was_stopped(sim: SimulatedCluster) -> None:
    db = with_data({**job("db.restore"), "cpus": 1000})
    said: list[str] = []
    up(sim, db)

    with pytest.raises(HookError, match=r"db.find: has not ended in time; .*; nothing was changed"):
        done(sim, db, said, seconds=200)

    assert not stopped(said)
    assert again(sim)


def test_a_snapshot_that_there_is_not_stops_nothing(sim: SimulatedCluster) -> None:
    db = with_data()
    said: list[str] = []
    up(sim, db)
    sim.profile("db.find*", Profile(fail_rate=1.0))

    with pytest.raises(HookError, match=r"db\.find: failed .*; nothing was changed"):
        done(sim, db, said)

    assert not stopped(said)
    assert again(sim)


def test_offers_that_cease_end_in_time_with_the_application_back(sim: SimulatedCluster) -> None:
    db = with_data()
    up(sim, db)
    at = At("db.find: done", lambda: sim.inject(Fault(kind="no_offers")))

    with pytest.raises(HookError, match=r"db.restore: has not ended in time; .*; nothing was changed"):
        done(sim, db, at, seconds=200)

    assert stopped(at.said)
    assert again(sim)


def refused(program: str = "chronos", seconds: float | None = None) -> Fault:
    return Fault(kind="refused", program=program, seconds=seconds)


@pytest.mark.parametrize("fault", [refused(), Fault(kind="framework_inactive", program="chronos")])
def test_without_chronos_nothing_is_stopped(sim: SimulatedCluster, fault: Fault) -> None:
    db = with_data()
    said: list[str] = []
    up(sim, db)
    began = sim.now()
    sim.inject(fault)

    with pytest.raises(HookError, match=r"chronos: .*; nothing was changed"):
        done(sim, db, said)

    assert said == [] and sim.now() - began < 60
    assert again(sim)


class At:
    """What is said, and what happens once a line of it begins so."""

    def __init__(self, line: str, happens: Callable[[], object]) -> None:
        self.line, self.happens, self.said = line, happens, list[str]()

    def append(self, line: str) -> None:
        self.said.append(line)
        if line.startswith(self.line):
            self.happens()


def test_a_chronos_that_is_silent_in_the_middle_is_judged_by_mesos_word(sim: SimulatedCluster) -> None:
    db = with_data()
    up(sim, db)
    at = At("db.restore: started", lambda: sim.inject(refused()))

    assert done(sim, db, at).endswith("is back")

    assert any("could not be deleted" in line for line in at.said)
    assert at.said[-1] == "/db/1a2b3c4d: 1 instance again"


def test_a_chronos_that_is_silent_for_a_minute_is_waited_for(sim: SimulatedCluster) -> None:
    db = with_data()
    up(sim, db)
    at = At("db.restore: started", lambda: sim.inject(refused(seconds=60)))

    assert done(sim, db, at).endswith("is back")
    assert again(sim)


def test_a_chronos_that_is_gone_before_the_job_ran_leaves_the_application_stopped(
    sim: SimulatedCluster,
) -> None:
    db = with_data()
    up(sim, db)
    began = sim.now()
    faults = {"db.find: done": Fault(kind="no_offers"), "db.restore: started": refused()}

    def inject() -> None:
        for fault in (one for line, one in faults.items() if line == at.said[-1]):
            sim.inject(fault)

    at = At("db.", inject)

    with pytest.raises(HookError, match="nobody knows whether its data is whole, so it stays stopped; next"):
        done(sim, db, at)

    assert sim.now() - began < 900, "it does not take all of the run's time"
    sim.advance(60)
    assert sim.tasks("/db/1a2b3c4d") == []


def test_a_job_that_can_t_be_deleted_after_its_end_is_no_failure(sim: SimulatedCluster) -> None:
    db = with_data()
    up(sim, db)
    sim.inject(Fault(kind="status", status=503, program="chronos", method="DELETE", calls=10**6))
    said: list[str] = []

    assert done(sim, db, said).endswith("is back")

    assert any("has run and will not again, could not be deleted" in line for line in said)
    sim.advance(60)
    assert len(sim.tasks("/db/1a2b3c4d")) == 1


def slow(sim: SimulatedCluster) -> CompiledContract:
    """A restore that takes longer than anybody waits for."""
    db = with_data()
    up(sim, db)
    sim.profile("db.restore*", Profile(runs_seconds=10**5, stop_seconds=8))
    return db


def test_the_application_starts_once_a_job_that_was_out_of_time_is_gone_and_undone(
    sim: SimulatedCluster,
) -> None:
    db = slow(sim)

    def alone() -> None:
        running = [task.owner for task in sim.tasks() if task.owner.startswith("db.")]
        assert running == []

    at = At("/db/1a2b3c4d: 1 instance again", alone)

    with pytest.raises(HookError, match=r"has not ended in time; .*; what was there before is there again"):
        done(sim, db, at, seconds=300)

    waits = next(n for n, line in enumerate(at.said) if line.startswith("db.restore: waits for its task ct:"))
    assert at.said[waits + 1 :] == ["db.undo: started", "db.undo: done", "/db/1a2b3c4d: 1 instance again"]
    assert again(sim)


def interrupted() -> None:
    raise KeyboardInterrupt


def test_an_interrupted_restore_is_ended_and_undone_before_the_application_starts(
    sim: SimulatedCluster,
) -> None:
    db = slow(sim)
    at = At("db.restore: runs, or waits", interrupted)

    with pytest.raises(KeyboardInterrupt):
        done(sim, db, at)

    assert at.said[-4:] == [
        "db.undo: started",
        "db.undo: done",
        "db: what was there before is there again, unless all of it had been replaced already",
        "/db/1a2b3c4d: 1 instance again",
    ]
    assert again(sim)


@pytest.fixture
def two() -> Iterator[SimulatedCluster]:
    """With a second master that can take over."""
    with SimulatedCluster(masters=2) as cluster:
        yield cluster


def test_what_a_new_master_has_forgotten_is_undone_in_place_of_called_untouched(
    two: SimulatedCluster,
) -> None:
    db = slow(two)

    def happens() -> None:
        if "runs, or waits" in at.said[-1]:
            raise KeyboardInterrupt
        if "waits for its task" in at.said[-1]:
            two.advance(30)
            two.change_leader("mesos")

    at = At("db.restore: ", happens)

    with pytest.raises(KeyboardInterrupt):
        done(two, db, at)

    assert at.said[-4:-2] == ["db.undo: started", "db.undo: done"]
    assert "db: its data is whole, and either the snapshot or what was there before: the" in at.said[-2]
    assert at.said[-1] == "/db/1a2b3c4d: 1 instance again"


def test_what_a_new_master_does_not_know_yet_is_waited_for(two: SimulatedCluster) -> None:
    db = slow(two)
    two.mesos.reregister_seconds = 60

    def happens() -> None:
        if "runs, or waits" in at.said[-1]:
            two.change_leader("mesos")
            raise KeyboardInterrupt

    def alone() -> None:
        assert [task.owner for task in two.tasks() if task.owner.startswith("db.")] == []

    at = At("", lambda: alone() if "instance again" in at.said[-1] else happens())

    with pytest.raises(KeyboardInterrupt):
        done(two, db, at)

    assert any("to register at the new Mesos master, which does not know yet" in line for line in at.said)
    assert at.said[-1] == "/db/1a2b3c4d: 1 instance again"


def test_agents_that_never_register_again_leave_the_application_stopped(two: SimulatedCluster) -> None:
    db = slow(two)
    two.mesos.reregister_seconds = 10**5

    def happens() -> None:
        two.change_leader("mesos")
        raise KeyboardInterrupt

    at = At("db.restore: runs, or waits", happens)

    with pytest.raises(KeyboardInterrupt):
        done(two, db, at)

    assert any("so it stays stopped; next: clustermesos restore db, which" in line for line in at.said)
    assert at.said[-1] == "/db/1a2b3c4d: stays stopped"


def test_an_end_that_the_new_master_forgot_is_known_by_chronos(two: SimulatedCluster) -> None:
    db = with_data()
    up(two, db)

    def late() -> None:
        two.advance(30)
        two.change_leader("mesos")
        raise KeyboardInterrupt

    at = At("db.restore: started", late)

    with pytest.raises(KeyboardInterrupt):
        done(two, db, at)

    assert at.said[-2:] == ["db: the snapshot is back", "/db/1a2b3c4d: 1 instance again"]


def test_a_restore_does_not_begin_before_the_master_knows_what_runs(two: SimulatedCluster) -> None:
    db = with_data()
    up(two, db)
    two.mesos.reregister_seconds = 40
    two.change_leader("mesos")
    said: list[str] = []

    assert done(two, db, said).endswith("is back")

    assert said[0].startswith("db.find: waits for agents ") and said[1] == "db.find: started"


def test_an_interruption_at_the_very_end_is_not_said_to_be_undone(sim: SimulatedCluster) -> None:
    db = with_data()
    up(sim, db)

    def late() -> None:
        sim.advance(30)
        raise KeyboardInterrupt

    at = At("db.restore: started", late)

    with pytest.raises(KeyboardInterrupt):
        done(sim, db, at)

    assert at.said[-2:] == ["db: the snapshot is back", "/db/1a2b3c4d: 1 instance again"]
    assert again(sim)


def test_a_second_interruption_leaves_the_application_stopped(sim: SimulatedCluster) -> None:
    db = slow(sim)
    at = At(
        "db.restore: ", lambda: interrupted() if "runs, or" in at.said[-1] or "waits" in at.said[-1] else 0
    )

    with pytest.raises(KeyboardInterrupt):
        done(sim, db, at)

    sim.advance(60)
    assert sim.tasks("/db/1a2b3c4d") == []
    sim.profile("db.restore*", Profile())
    said: list[str] = []
    told = done(sim, db, said)
    assert told.startswith("db: snapshot 1a2b3c4d is back"), "the next one goes on from there"
    assert told.endswith("; no instance of it ran before, so none was started; next: clustermesos apply")


def test_what_can_t_be_undone_is_not_started(sim: SimulatedCluster) -> None:
    db = slow(sim)
    sim.profile("db.undo*", Profile(fail_rate=1.0))
    said: list[str] = []

    with pytest.raises(
        HookError, match=r"whether its data is whole, so it stays stopped; next: .* restore db"
    ):
        done(sim, db, said, seconds=300)

    sim.advance(60)
    assert sim.tasks("/db/1a2b3c4d") == []


def test_a_lost_answer_starts_no_second_restore(sim: SimulatedCluster) -> None:
    db = with_data()
    up(sim, db)
    said: list[str] = []
    sim.profile("db.restore*", Profile(runs_seconds=0.05, start_seconds=0.05))
    sim.inject(Fault(kind="lost_answer", program="chronos", method="POST", calls=4))

    assert done(sim, db, said).endswith("is back")

    ran = [task for task in sim.world.ended if task.owner == "db.restore"]
    assert len(ran) == 1


class Left:
    """Consul, as a restore of db leaves it that was killed, or with `session` while it runs."""

    def __init__(self, session: str | None = None) -> None:
        self.kv, self.session, self.locked = self, session, True

    def get(self, _key: str, **_: str) -> tuple[int, dict[str, Any]]:
        return 7, {"Value": b"{}", "Session": self.session, "ModifyIndex": 7}

    def delete(self, _key: str, *, cas: int) -> bool:
        self.locked = cas != 7
        return not self.locked


def unlocked(sim: SimulatedCluster, left: Left) -> list[str]:
    """What is said; HookError where it stays locked."""
    said: list[str] = []
    with platform_of(sim) as platform:
        platform.__dict__["consuls"] = {platform.home: left}
        unlock_after_restore(platform, with_data(), said.append)
    return said


def left_in_chronos(sim: SimulatedCluster, name: str) -> None:
    with platform_of(sim) as platform:
        platform.chronos.put({**job(name), "schedule": "R1//PT1H", "owner": owner(CLUSTER)})


def names_in_chronos(sim: SimulatedCluster) -> list[str]:
    with platform_of(sim) as platform:
        return [one["name"] for one in platform.chronos.jobs()]


def test_what_still_runs_is_not_unlocked_on_anybody_s_word(sim: SimulatedCluster) -> None:
    sim.profile("db.undo*", Profile(runs_seconds=10**5))
    left_in_chronos(sim, "db.undo")
    sim.advance(10)
    left = Left()

    with pytest.raises(HookError, match=r"db stays locked: .* wait for its task ct:\S+ to end; .*"):
        unlocked(sim, left)

    assert left.locked and names_in_chronos(sim) == ["db.undo"]


def test_what_waits_in_chronos_does_not_run_beside_what_was_unlocked(sim: SimulatedCluster) -> None:
    sim.inject(Fault(kind="no_offers"))
    left_in_chronos(sim, "db.restore")
    sim.advance(300)
    left = Left()

    said = unlocked(sim, left)

    assert said == ["db.restore: was left in Chronos, and is deleted, so that it does not run"]
    assert not left.locked and names_in_chronos(sim) == []
    sim.heal()
    sim.advance(300)
    assert sim.tasks("db.*") == [] and [one for one in sim.world.ended if one.owner == "db.restore"] == []


def test_what_begins_while_it_is_unlocked_keeps_it_locked(
    sim: SimulatedCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    sim.inject(Fault(kind="no_offers"))
    sim.profile("db.restore*", Profile(runs_seconds=10**5))
    left_in_chronos(sim, "db.restore")
    sim.advance(30)
    delete, left = Chronos.delete, Left()

    def late(self: Chronos, name: str) -> None:
        sim.heal()
        sim.advance(30)
        assert len(sim.tasks("db.restore")) == 1
        delete(self, name)

    monkeypatch.setattr(Chronos, "delete", late)
    with pytest.raises(HookError, match=r"stays locked: db\.restore: began in this moment, .* restore db, "):
        unlocked(sim, left)

    assert left.locked


def test_what_a_new_master_does_not_know_yet_is_not_unlocked(two: SimulatedCluster) -> None:
    two.profile("db.restore*", Profile(runs_seconds=10**5))
    left_in_chronos(two, "db.restore")
    two.advance(30)
    two.mesos.reregister_seconds = 60
    two.change_leader("mesos")
    left = Left()

    with pytest.raises(HookError, match=r"stays locked: .* to register at the new Mesos master"):
        unlocked(two, left)

    assert left.locked and len(two.tasks("db.restore")) == 1


def test_the_job_of_a_restore_that_runs_is_left_to_it(sim: SimulatedCluster) -> None:
    sim.inject(Fault(kind="no_offers"))
    left_in_chronos(sim, "db.restore")

    with pytest.raises(HookError, match=r"restores its data since .*; next: end that one"):
        unlocked(sim, Left(session="a-session"))

    assert names_in_chronos(sim) == ["db.restore"]


def test_a_restore_waits_for_a_former_one_that_still_runs(sim: SimulatedCluster) -> None:
    db = slow(sim)
    sim.profile("db.restore*", Profile(runs_seconds=100))
    former = {**job("db.restore"), "schedule": "R1//PT1H", "owner": owner(CLUSTER)}
    with platform_of(sim) as platform:
        platform.chronos.put(former)
    sim.advance(10)
    said: list[str] = []

    assert done(sim, db, said).endswith("is back")

    assert said[0].startswith("db.restore: waits for its task ct:")
    assert [task.state for task in sim.world.ended if task.owner == "db.restore"] == ["TASK_FINISHED"] * 2


def test_somebody_else_s_job_of_that_name_is_left_alone(sim: SimulatedCluster) -> None:
    db = with_data()
    up(sim, db)
    with platform_of(sim) as platform:
        platform.chronos.put({**job("db.restore"), "schedule": "R//PT1H", "owner": "alice@example.org"})

    with pytest.raises(HookError, match=r"belongs to alice@example\.org, not to .*; nothing was changed"):
        done(sim, db, [])

    assert len(sim.tasks("/db/1a2b3c4d")) == 1


@pytest.mark.parametrize("stage", ["db.restore: started", "db.restore: done"])
def test_a_marathon_that_is_gone_when_the_application_should_start_is_told(
    sim: SimulatedCluster, stage: str
) -> None:
    db = with_data()
    up(sim, db)
    began = sim.now()
    at = At(stage, lambda: sim.inject(refused("marathon")))

    with pytest.raises(HookError, match=r"/db/1a2b3c4d was not started again: .*; next: clustermesos apply"):
        done(sim, db, at)

    assert sim.now() - began < 300


def test_jobs_of_a_restore_are_this_clusters(sim: SimulatedCluster) -> None:
    assert owner(CLUSTER) == "clustermesos:demo"


@pytest.mark.slow
def test_an_edge_that_may_still_send_requests_ends_a_restore_before_anything_is_stopped(
    platform: Rolling,
) -> None:
    name, said = platform.name, list[str]()
    route = Route(host="db.example.org", path="/", service=name)
    running = replace(platform.contract("v1"), route=route)
    assert platform.deploy(running).good
    before = platform.rollout().documents.of(name).route
    assert before is not None
    data = replace(running, restores=(job(f"{name}.restore"),), stops_to_restore=True)
    shop = Compiled(cluster="shop", contracts=(data,))

    with (
        scripted(edge_says(platform, generation=1, instances=2)) as edge,
        platform.connected(edge=edge.address) as connected,
        pytest.raises(HookError, match=r"to take over generation 2 .* none of its instances was ended"),
    ):
        restore(connected, shop, name, snapshot="latest", node=None, say=said.append)

    assert platform.running() == {"v1": 2}
    assert platform.rollout().documents.of(name).route == replace(before, generation=3)
    assert said[-1] == f"route of {name}: as it was before"
