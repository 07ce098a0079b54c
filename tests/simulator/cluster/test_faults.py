"""Faults that are injected: by Python, by HTTP and from files; several instances of which one leads."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.simulator.cluster import Fault, Profile, SimulatedCluster, Use
from constructs_lib.simulator.cluster.beginning import Begun, read_file
from constructs_lib.simulator.web import ask
from tests.simulator.cluster.conftest import Marathon

CHECK = [{"protocol": "HTTP", "gracePeriodSeconds": 5, "intervalSeconds": 30}]


@pytest.fixture
def three() -> Iterator[SimulatedCluster]:
    with SimulatedCluster(masters=3) as cluster:
        yield cluster


@pytest.mark.parametrize("status", [401, 403, 409, 500, 503])
def test_a_status_is_answered_as_often_as_asked(marathon: Marathon, status: int) -> None:
    marathon.sim.inject(Fault(kind="status", program="marathon", status=status, calls=2))

    assert [marathon.ask("GET", "/apps")[0] for _ in range(3)] == [status, status, 200]


def test_a_status_is_answered_for_some_time(marathon: Marathon) -> None:
    marathon.sim.inject(Fault(kind="status", program="marathon", seconds=30))
    marathon.sim.advance(29)
    assert marathon.ask("GET", "/apps")[0] == 503
    marathon.sim.advance(2)

    assert marathon.ask("GET", "/apps")[0] == 200


def test_a_fault_hits_what_fits_it_alone_and_waits_for_its_turn(marathon: Marathon) -> None:
    marathon.sim.inject(Fault(kind="status", method="PUT", path="/v2/apps/*", after=1))

    assert marathon.ask("GET", "/apps")[0] == 200
    assert marathon.ask("PUT", "/apps", [])[0] == 200
    assert marathon.ask("PUT", "/apps/a", {"cmd": "a"})[0] == 201
    assert marathon.ask("PUT", "/apps", [])[0] == 200
    assert marathon.ask("PUT", "/apps/b", {"cmd": "a"})[0] == 503
    assert marathon.ask("GET", "/apps/b")[0] == 404


def test_an_html_page_comes_instead_of_json(marathon: Marathon) -> None:
    marathon.sim.inject(Fault(kind="html"))
    status, body = marathon.ask("GET", "/apps")

    assert (status, body[:6]) == (200, "<html>")


def test_a_slow_answer_comes_late(marathon: Marathon) -> None:
    marathon.sim.inject(Fault(kind="slow", delay=0.3))
    began = time.monotonic()

    assert marathon.ask("GET", "/apps")[0] == 200
    assert time.monotonic() - began >= 0.3


@pytest.mark.parametrize("kind", ["half_answer", "lost_answer", "no_answer"])
def test_an_answer_breaks_off_after_the_change_or_before(marathon: Marathon, kind: Any) -> None:
    marathon.sim.inject(Fault(kind=kind, method="PUT"))
    with pytest.raises((OSError, http.client.HTTPException)):
        marathon.ask("PUT", "/apps/web", {"cmd": "a"})

    assert marathon.ask("GET", "/apps/web")[0] == (404 if kind == "no_answer" else 200)


def test_a_closed_port_refuses_and_comes_back(three: SimulatedCluster) -> None:
    three.inject(Fault(kind="refused", program="marathon", instance=0, seconds=60))
    with pytest.raises(ConnectionRefusedError):
        ask_plainly(three.urls("marathon")[0])
    assert Marathon(three, 1).get("/leader")["leader"] == three.instances["marathon"].addresses[1]
    three.advance(61)

    assert Marathon(three, 0).get("/leader")["leader"] == three.instances["marathon"].addresses[1]


def test_a_closed_port_ends_connections_that_were_open(three: SimulatedCluster) -> None:
    connection = http.client.HTTPConnection(three.instances["marathon"].addresses[0], timeout=5)
    connection.request("GET", "/ping")
    assert connection.getresponse().read() == b"pong"
    three.inject(Fault(kind="refused", program="marathon", instance=0, seconds=60))
    connection.request("GET", "/ping")
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse()
    connection.close()


def ask_plainly(url: str) -> None:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
    connection.request("GET", "/ping")
    connection.getresponse()


def test_other_marathons_answer_for_the_leader_chronos_and_mesos_redirect(three: SimulatedCluster) -> None:
    leaders = {name: one.addresses[0] for name, one in three.instances.items()}

    assert Marathon(three, 2).get("/leader") == {"leader": leaders["marathon"]}
    for program, path, status, location in (
        ("chronos", "/v1/scheduler/jobs?x=1", 302, f"http://{leaders['chronos']}/v1/scheduler/jobs?x=1"),
        ("mesos", "/master/slaves", 307, f"//{leaders['mesos']}/master/slaves"),
    ):
        connection = http.client.HTTPConnection(three.instances[program].addresses[1], timeout=5)
        connection.request("GET", path)
        answer = connection.getresponse()
        assert (answer.status, answer.headers["Location"]) == (status, location)
        connection.close()


def test_one_master_says_that_it_leads(three: SimulatedCluster) -> None:
    elected = [ask(f"{url}/metrics/snapshot")[1]["master/elected"] for url in three.urls("mesos")]

    assert elected == [1, 0, 0]


def test_nobody_answers_during_an_election(three: SimulatedCluster) -> None:
    for program in three.instances:
        three.change_leader(program, seconds=5)
    assert Marathon(three, 1).ask("GET", "/apps")[0] == 503
    assert ask(f"{three.urls('chronos')[1]}/v1/scheduler/jobs")[0] == 503
    assert ask(f"{three.urls('mesos')[1]}/slaves")[0] == 503
    three.advance(6)

    assert Marathon(three, 0).get("/leader")["leader"] == three.instances["marathon"].addresses[1]
    assert ask(f"{three.urls('mesos')[1]}/slaves")[0] == 200


def test_a_leader_that_abdicates_is_followed_by_another(three: SimulatedCluster) -> None:
    marathon = Marathon(three)
    assert marathon.ask("DELETE", "/leader")[0] == 200
    three.advance(10)

    assert marathon.get("/leader")["leader"] == three.instances["marathon"].addresses[1]


def test_a_leader_change_in_the_middle_loses_health_not_apps_or_deployments(three: SimulatedCluster) -> None:
    marathon = Marathon(three)
    marathon.deployed("/web", instances=2, healthChecks=CHECK)
    marathon.put("/other", cpus=100)
    three.advance(5)
    three.inject(Fault(kind="leader_change", program="marathon"))
    app = marathon.app("/web")

    assert (app["tasksRunning"], app["tasksHealthy"], app["tasksUnhealthy"]) == (2, 0, 0)
    assert all("healthCheckResults" not in task for task in app["tasks"])
    assert len(marathon.get("/deployments")) == 1
    three.advance(31)
    assert marathon.app("/web")["tasksHealthy"] == 2


def test_a_crash_loop_ends_what_runs_and_what_comes_after(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=2)
    marathon.sim.inject(Fault(kind="crash_loop", target="/web", seconds=600))
    marathon.sim.advance(300)
    assert marathon.app("/web")["lastTaskFailure"]["state"] == "TASK_FAILED"
    marathon.sim.advance(900)

    assert marathon.running("/web") == 2


def test_health_never_passes(marathon: Marathon) -> None:
    marathon.sim.inject(Fault(kind="never_healthy", target="/web*"))
    marathon.put("/web", healthChecks=CHECK)
    marathon.sim.advance(4)

    assert (marathon.app("/web")["tasksRunning"], marathon.app("/web")["tasksHealthy"]) == (1, 0)


def test_a_task_fails_once_with_its_exit_code(marathon: Marathon) -> None:
    marathon.deployed("/web")
    marathon.sim.inject(Fault(kind="task_failure", target="/web", status=137))
    assert marathon.app("/web")["lastTaskFailure"]["message"] == "Container exited with status 137"
    marathon.sim.advance(10)

    assert marathon.running("/web") == 1


def test_the_tasks_of_a_lost_agent_start_elsewhere(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=2)
    host = marathon.sim.tasks("/web")[0].agent.hostname
    marathon.sim.inject(Fault(kind="agent_lost", target=host))
    marathon.sim.advance(20)

    assert marathon.running("/web") == 2
    assert host not in {task.agent.hostname for task in marathon.sim.tasks("/web")}
    slaves = ask(f"{marathon.sim.mesos_url}/slaves")[1]["slaves"]
    assert host not in {slave["hostname"] for slave in slaves}


def test_the_tasks_of_a_partitioned_agent_come_back_as_too_many(marathon: Marathon) -> None:
    marathon.deployed("/web", instances=2, constraints=[["hostname", "UNIQUE"]])
    host = marathon.sim.tasks("/web")[0].agent.hostname
    marathon.sim.inject(Fault(kind="agent_partitioned", target=host, seconds=60))
    marathon.sim.advance(30)
    assert (marathon.running("/web"), len(marathon.sim.tasks("/web"))) == (2, 3)
    marathon.sim.advance(60)

    assert (marathon.running("/web"), len(marathon.sim.tasks("/web"))) == (2, 2)


def test_nothing_starts_on_an_agent_that_is_to_be_maintained(marathon: Marathon) -> None:
    for agent in marathon.sim.world.agents.values():
        marathon.sim.inject(Fault(kind="agent_maintenance", target=agent.hostname))
    marathon.put("/web")
    marathon.sim.advance(10)
    assert "AgentMaintenance" in marathon.reasons("/web")[agent.hostname]
    marathon.sim.heal()
    marathon.sim.advance(10)

    assert marathon.running("/web") == 1


def test_no_offers_start_nothing_and_say_nothing(marathon: Marathon) -> None:
    marathon.sim.inject(Fault(kind="no_offers", seconds=60))
    marathon.put("/web")
    marathon.sim.advance(50)
    (waiting,) = marathon.get("/queue?embed=lastUnusedOffers")["queue"]
    assert waiting["processedOffersSummary"]["processedOffersCount"] == 0
    assert waiting["lastUnusedOffers"] == []
    marathon.sim.advance(20)

    assert marathon.running("/web") == 1


def test_faults_lives_and_time_can_be_had_over_http(marathon: Marathon) -> None:
    base = f"{marathon.sim.chronos_url}/simulator"
    assert ask(f"{base}/faults", "POST", {"kind": "status", "status": 500, "program": "marathon"})[0] == 200
    assert ask(f"{base}/faults")[1][0]["status"] == 500
    assert marathon.ask("GET", "/apps")[0] == 500
    assert ask(f"{base}/profiles", "PUT", {"/web": {"start_seconds": 30}})[0] == 200
    marathon.put("/web")
    assert ask(f"{base}/advance", "POST", {"seconds": 20})[0] == 200
    assert marathon.app("/web")["tasksStaged"] == 1
    assert ask(f"{base}/leader", "POST", {"program": "marathon", "seconds": 5})[0] == 200
    assert marathon.ask("GET", "/apps")[0] == 503
    assert ask(f"{base}/faults", "DELETE")[0] == 200
    assert "simulator" in ask(base)[1]["simulator"]


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/faults", {"kind": "earthquake"}, "expected one of status"),
        ("/faults", {"kind": "status", "colour": 1}, "'colour'"),
        ("/faults", {"kind": "status", "calls": "many"}, "expected a number"),
        ("/faults", {"kind": "agent_lost", "target": "10.9.9.9"}, "there are 10.20.64.10"),
        ("/faults", b"{", "Expecting"),
        ("/advance", {"seconds": "long"}, "expected a number"),
        ("/advance", {"seconds": -1}, "does not go back"),
    ],
)
def test_a_wrong_wish_is_400_with_what_is_allowed(
    sim: SimulatedCluster, path: str, body: Any, says: str
) -> None:
    status, answer = ask(f"{sim.marathon_url}/simulator{path}", "POST", body)

    assert status == 400
    assert says in answer["message"]


def test_faults_lives_and_usage_come_from_a_file(tmp_path: Path, sim: SimulatedCluster) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(
        "faults:\n- {kind: status, status: 500, calls: 3}\nprofiles:\n  /web: {exit_code: 9}\n"
        "usage:\n  /web: {load: 2.5}\n"
    )

    begun = read_file(file)

    assert begun == Begun(
        faults=(Fault(kind="status", status=500, calls=3),),
        profiles={"/web": Profile(exit_code=9)},
        usage={"/web": Use(load=2.5)},
    )
    begun.begin(sim)
    assert ask(f"{sim.marathon_url}/v2/apps")[0] == 500
    assert ask(f"{sim.marathon_url}/simulator/usage")[1] == {"/web": {"cpu": 0.1, "memory": 0.3, "load": 2.5}}


@pytest.mark.parametrize(
    "text",
    [
        "- a",
        "fault: []",
        "faults: [1]",
        "faults: [{kind: x}]",
        "profiles: {a: {b: 1}}",
        "usage: {a: {cpu: x}}",
        "usage: 1",
        "a: [",
    ],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "faults.yaml"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"faults\.yaml: "):
        read_file(file)
