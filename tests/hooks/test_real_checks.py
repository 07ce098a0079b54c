"""The gate's questions to real programs: Consul's members and access lists, ZooKeeper's quorum, the registry.

All run from nodes' own files. What no program does by itself, such as two leaders, is in test_checks.py.
"""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.errors import HookError
from constructs_lib.hooks.checks import look
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance
from constructs_lib.hooks.finding import Expected, Finding, Login
from constructs_lib.hooks.gate import wait_until_ready
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.certificates import certificate_alone, new_authority
from constructs_lib.spec.model import ClusterSpec
from tests.components.consul_here import CLUSTER, SERVER, Agent, client_of, values
from tests.components.registry_here import PASSWORD, SOFTWARE, Registry, files_of, planned, program_of
from tests.components.zookeeper_here import QUORUM, Ensemble, running_ensemble
from tests.conftest import need
from tests.lab.asking import until
from tests.nodes.clusters import WHOLE

pytestmark = pytest.mark.slow
LONGEST = 120.0
NOTHING = Expected(home="eu", pools={}, members={})


def at(*ports: int, node: str) -> tuple[Instance, ...]:
    return tuple(
        Instance(node=f"{node}-{number}", site="eu", address="127.0.0.1", port=port)
        for number, port in enumerate(ports, 1)
    )


def asked(program: str, instances: tuple[Instance, ...], expected: Expected = NOTHING) -> Finding:
    (found,) = look(Endpoints(instances={program: instances}), expected, Deadline(LONGEST))
    return found


class Consul:
    """A Consul node and an agent, as a plan with one of each expects them."""

    def __init__(self, server: Agent, client: Agent) -> None:
        self.server, self.client = server, client
        self.instances = at(server.ports["http"], node="consul")
        self.expected = Expected(
            home="eu",
            pools={("eu", "general"): 1},
            members={"eu": (server.files.name,)},
            tokens={"eu": server.secret("management")},
        )

    def asked(self, **expected: Any) -> Finding:
        return asked("consul/eu", self.instances, dataclasses.replace(self.expected, **expected))


@pytest.fixture(scope="module")
def ready(consul: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consul]:
    server = Agent(consul, tmp_path_factory.mktemp("server"), SERVER, values(CLUSTER.secrets))
    server.configure(server.ports["serf_lan"])
    server.start()
    try:
        server.wait("a leader", server.has_leader)
        assert server.acl().returncode == 0
        client = client_of(consul, server, tmp_path_factory.mktemp("client"))
        client.start()
        try:
            found = Consul(server, client)
            until("both are members", LONGEST, lambda: found.asked().good)
            yield found
        finally:
            client.stop()
    finally:
        server.stop()


def test_a_consul_with_a_leader_its_lists_and_all_members_is_ready(ready: Consul) -> None:
    leader = f"127.0.0.1:{ready.server.ports['server']}"

    found = ready.asked()

    assert (found.good, found.try_next) == (True, None)
    assert found.says == f"{leader} leads, 1 of 1 servers are peers, 2 members live"


def test_a_token_that_consul_does_not_know_is_refused_and_not_shown(ready: Consul) -> None:
    token = str(uuid.uuid4())

    found = ready.asked(tokens={"eu": token})

    assert (found.good, found.try_next) == (False, "clustermesos nodes plan consul-1")
    assert "403 'token does not exist: ACL not found'" in found.says
    assert token not in found.says


def test_a_node_that_never_joined_is_no_member(ready: Consul) -> None:
    found = ready.asked(members={"eu": (ready.server.files.name, "master-1")})

    assert (found.good, found.try_next) == (False, "clustermesos nodes plan master-1")
    assert found.says.endswith("2 members live; master-1: no member")


def test_an_agent_that_died_is_missed_until_it_is_back(ready: Consul) -> None:
    assert ready.client.process
    ready.client.process.kill()
    ready.client.process.wait(timeout=60)

    until("it is missed", LONGEST, lambda: not ready.asked().good)
    found = ready.asked()
    assert found.says.endswith("1 members live; 0 of 1 agents are members")
    assert found.try_next == "clustermesos nodes plan agent"

    ready.client.start()
    until("it is back", LONGEST, lambda: ready.asked().good)


def test_the_gate_waits_for_a_server_that_is_down_and_opens_when_it_leads_again(ready: Consul) -> None:
    said: list[str] = []

    def say(line: str) -> None:
        if not said:
            ready.server.start()
        said.append(line.partition(" (")[0])

    ready.server.stop()
    endpoints = Endpoints(instances={"consul/eu": ready.instances})
    (found,) = wait_until_ready(endpoints, ready.expected, Deadline(LONGEST), say)

    assert found.good and found.says.endswith("2 members live")
    assert said[0].startswith("waiting for consul/eu: ") and "connection refused" in said[0]


def test_one_server_of_three_has_nobody_to_elect_a_leader_with(consul: Path, tmp_path: Path) -> None:
    whole = json.loads(json.dumps(WHOLE))
    whole["sites"]["eu"]["consul"] = {"count": 3}
    cluster = plan(ClusterSpec.model_validate(whole))
    site = cluster.site("eu")
    files = render(site, site.nodes_of(Role.CONSUL)[0])
    alone = Agent(consul, tmp_path, files, values(cluster.secrets))
    alone.configure(alone.ports["serf_lan"])
    alone.start()
    try:
        alone.wait("its API", lambda: alone.ask("status/leader")[0] == 200)
        found = asked("consul/eu", at(alone.ports["http"], node="consul"))
    finally:
        alone.stop()

    assert (found.good, found.says) == (False, "no server leads")


def test_a_consul_without_access_lists_is_not_ready(consul: Path, tmp_path: Path) -> None:
    agent = Agent(consul, tmp_path, SERVER, values(CLUSTER.secrets))
    agent.configure(agent.ports["serf_lan"])
    file = agent.at("/etc/consul.d/consul.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"acl": {"enabled": False}}))
    agent.start()
    try:
        agent.wait("a leader", agent.has_leader)
        token = {"eu": agent.secret("management")}
        found = asked(
            "consul/eu", at(agent.ports["http"], node="consul"), dataclasses.replace(NOTHING, tokens=token)
        )
    finally:
        agent.stop()

    assert (found.good, found.try_next) == (False, "clustermesos nodes plan consul-1")
    assert found.says.endswith("it has no access lists, so that everybody may change everything")


@pytest.fixture(scope="module")
def ensemble(zookeeper_jars: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ensemble]:
    with running_ensemble(tmp_path_factory.mktemp("ensemble"), zookeeper_jars) as found:
        yield found


def zookeeper(ensemble: Ensemble) -> Finding:
    return asked("zookeeper", at(*ensemble.clients, node="master"))


def test_zookeeper_serves_with_all_of_three_and_with_two_and_not_alone(ensemble: Ensemble) -> None:
    leader = next(number for number in (1, 2, 3) if ensemble.mode(number) == "leader")
    first, second = sorted({1, 2, 3} - {leader})
    refused = "Connection refused"
    silent = "This ZooKeeper instance is not currently serving requests"
    found = zookeeper(ensemble)
    assert (found.good, found.says) == (True, f"3 of 3 serve, master-{leader} leads")

    ensemble.stop(first)
    found = zookeeper(ensemble)
    assert (found.good, found.says) == (
        True,
        f"2 of 3 serve, master-{leader} leads; master-{first}: {refused}",
    )

    ensemble.stop(second)
    until("the last one gives up", LONGEST, lambda: silent in zookeeper(ensemble).says)
    found = zookeeper(ensemble)
    each = {first: refused, second: refused, leader: silent}
    told = [f"master-{number}: {each[number]}" for number in (1, 2, 3)]
    assert (found.good, found.says) == (False, "; ".join(("0 of 3 serve", *told)))
    assert found.try_next == "clustermesos nodes plan master-1"

    ensemble.start(first)
    ensemble.start(second)
    ensemble.wait("the quorum", lambda: ensemble.modes() == QUORUM)
    assert zookeeper(ensemble).good


@pytest.fixture(params=SOFTWARE)
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """By the registry of the nodes' image, and by the distribution's."""
    need("htpasswd")
    registry = Registry(tmp_path, files_of(planned(software=SOFTWARE[request.param])))
    registry.program = program_of(request.param)
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()


def test_the_registry_answers_without_a_password_until_it_ends(registry: Registry) -> None:
    instances = at(registry.metrics, node="consul")
    assert registry.ask("GET", "/v2/", password="wrong")[0] == 401

    found = asked("registry", instances)
    assert (found.good, found.says) == (True, "answers")

    registry.stop()
    found = asked("registry", instances)
    assert (found.good, found.try_next) == (False, "clustermesos nodes plan consul-1")
    assert "connection refused" in found.says


def login_of(registry: Registry, password: str = PASSWORD, authority: str | None = None) -> Login:
    known = (registry.folder / "etc/authority.crt").read_text()
    return Login(password=password, authority=authority or known)


def logged_in(registry: Registry, login: Login | None) -> Finding:
    instances = {
        "registry": at(registry.metrics, node="consul"),
        "registry-login": at(registry.port, node="consul"),
    }
    expected = dataclasses.replace(NOTHING, login=login)
    (found,) = look(Endpoints(instances=instances), expected, Deadline(LONGEST))
    return found


def test_the_registry_is_well_only_if_it_takes_the_nodes_login(registry: Registry) -> None:
    found = logged_in(registry, login_of(registry))
    assert (found.good, found.says) == (True, "answers, and takes the nodes' login")

    found = logged_in(registry, None)
    assert (found.good, found.says) == (
        True,
        "answers; its login was not tried: registry_password is not here",
    )

    found = logged_in(registry, login_of(registry, "another-password"))
    assert (found.good, found.try_next) == (False, "clustermesos nodes plan consul-1")
    assert found.says == "login refused (401): its password is not the registry_password that is here"


def test_a_login_that_is_refused_keeps_the_gate_closed_and_the_password_is_not_shown(
    registry: Registry,
) -> None:
    said: list[str] = []
    instances = {
        "registry": at(registry.metrics, node="consul"),
        "registry-login": at(registry.port, node="consul"),
    }
    expected = dataclasses.replace(NOTHING, login=login_of(registry, "another-password"))

    with pytest.raises(HookError, match=r"registry: login refused \(401\)") as closed:
        wait_until_ready(Endpoints(instances=instances), expected, Deadline(1.0), said.append)

    assert "another-password" not in f"{closed.value} {said} {expected!r} {expected.login!r}"


def test_an_urgent_change_goes_on_where_the_password_here_is_refused_and_not_where_nobody_can_pull(
    registry: Registry,
) -> None:
    stranger = certificate_alone(new_authority("cluster_authority"))
    refused, strange = (login_of(registry, "older"), login_of(registry, authority=stranger))

    (found,) = gone_on(registry, refused)

    assert (found.mark, found.try_next) == ("?", "clustermesos nodes plan consul-1")
    assert found.says.endswith("not the registry_password that is here; gone on all the same: --degraded")
    with pytest.raises(HookError, match="its certificate is not one of the cluster's"):
        gone_on(registry, strange)


def gone_on(registry: Registry, login: Login) -> tuple[Finding, ...]:
    instances = {
        "registry": at(registry.metrics, node="consul"),
        "registry-login": at(registry.port, node="consul"),
    }
    return wait_until_ready(
        Endpoints(instances=instances),
        dataclasses.replace(NOTHING, login=login),
        Deadline(1.0),
        lambda _: None,
        degraded=True,
    )


def test_nobody_else_is_told_the_password(registry: Registry) -> None:
    stranger = certificate_alone(new_authority("cluster_authority"))
    log = registry.folder / "log"
    before = log.stat().st_size

    found = logged_in(registry, login_of(registry, authority=stranger))

    assert not found.good
    assert found.says.startswith("its certificate is not one of the cluster's for registry.service.consul: ")
    # The registry writes of it once it has seen our end hang up, which may be after our answer.
    until("the registry says why", LONGEST, lambda: b"TLS handshake error" in log.read_bytes()[before:])
    assert b"/v2/" not in log.read_bytes()[before:], "before anything was asked"
