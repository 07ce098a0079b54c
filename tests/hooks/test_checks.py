"""Each question of the health gate, over loopback: what it says when all is well, and what when not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from constructs_lib.errors import HookError
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.gate import wait_until_ready
from tests.hooks.checked_platform import (
    AGENTS,
    ASKED,
    FRAMEWORKS,
    IN_DC1,
    IN_EU,
    Checked,
    agent,
    checked_platform,
    members,
)
from tests.hooks.scripted_server import Jumps, Says

OUT_OF_SERVICE = "This ZooKeeper instance is not currently serving requests"
Break = Callable[[Checked], object]


@pytest.fixture(scope="module")
def servers() -> Iterator[Checked]:
    with checked_platform() as found:
        yield found


@pytest.fixture
def platform(servers: Checked) -> Checked:
    servers.heal()
    return servers


def modes(**said: str) -> Break:
    return lambda one: one.modes.update({name.replace("_", "-"): mode for name, mode in said.items()})


def frameworks(*names: str, active: bool = True) -> Break:
    found = [one | {"active": active} for one in FRAMEWORKS if str(one["name"]).startswith(names)]
    return lambda one: one.set("mesos", "/master/frameworks", {"frameworks": found})


def agents(*found: object) -> Break:
    return lambda one: one.set("mesos", "/master/slaves", {"slaves": list(found)})


def both(*breaks: Break) -> Break:
    return lambda one: [each(one) for each in breaks]


BROKEN: dict[str, tuple[str, Break, str, str | None]] = {
    "no quorum": (
        "zookeeper",
        modes(master_1=OUT_OF_SERVICE, master_2=OUT_OF_SERVICE, master_3=OUT_OF_SERVICE),
        f"0 of 3 serve; master-1: {OUT_OF_SERVICE}; master-2: {OUT_OF_SERVICE}; master-3: {OUT_OF_SERVICE}",
        "clustermesos nodes plan master-1",
    ),
    "two ZooKeepers are down": (
        "zookeeper",
        lambda one: one.stop("zookeeper", "master-1", "master-3"),
        "1 of 3 serve, master-2 leads; master-1: Connection refused; master-3: Connection refused",
        "clustermesos nodes plan master-1",
    ),
    "two ZooKeepers lead": (
        "zookeeper",
        modes(master_1="leader"),
        "3 of 3 serve, master-1 and master-2 leads",
        "clustermesos nodes plan master-1",
    ),
    "no master is elected": (
        "mesos",
        lambda one: one.set("mesos", "/metrics/snapshot", {"master/elected": 0.0}),
        "no master elected",
        "wait for ZooKeeper's quorum",
    ),
    "two masters are elected": (
        "mesos",
        lambda one: one.set("mesos", "/metrics/snapshot", {"master/elected": 1.0}, "master-3"),
        "master-1 and master-3 elected",
        "wait for ZooKeeper's quorum",
    ),
    "all masters are down": (
        "mesos",
        lambda one: one.stop("mesos"),
        "no master elected",
        "wait for ZooKeeper's quorum",
    ),
    "too few agents": (
        "mesos",
        agents(*AGENTS[1:]),
        "master-1 leads, 3 of 4 agents are active; pool general of eu: 2 of 3",
        "clustermesos nodes plan agent",
    ),
    "an agent that is not active": (
        "mesos",
        agents(*AGENTS[1:], agent("general", "eu", active=False)),
        "master-1 leads, 3 of 4 agents are active; pool general of eu: 2 of 3",
        "clustermesos nodes plan agent",
    ),
    "a site's pool is empty, and the other site's of that name has one more": (
        "mesos",
        agents(*AGENTS[:3], AGENTS[0]),
        "master-1 leads, 4 of 4 agents are active; pool general of dc1: 0 of 1",
        "clustermesos nodes plan agent",
    ),
    "a pool is empty, and an elastic one has grown": (
        "mesos",
        agents(*AGENTS[:3], agent("burst", "dc1"), agent("burst", "dc1")),
        "master-1 leads, 5 of 4 agents are active; pool general of dc1: 0 of 1",
        "clustermesos nodes plan agent",
    ),
    "no Marathon leads": (
        "marathon",
        lambda one: one.set("marathon", "/v2/leader", Says(404, {"message": "There is no leader"})),
        "no instance leads",
        "wait for ZooKeeper's quorum",
    ),
    "Marathon has no framework id": (
        "marathon",
        lambda one: one.set("marathon", "/v2/info", {"frameworkId": None}),
        "master-2:8080 leads, and has no framework id: it has not registered at Mesos yet",
        "clustermesos nodes plan master-1",
    ),
    "Mesos does not know Marathon": (
        "marathon",
        frameworks("chronos"),
        "master-2:8080 leads, Mesos does not know it yet",
        None,
    ),
    "Mesos knows another Marathon": (
        "marathon",
        lambda one: one.set("marathon", "/v2/info", {"frameworkId": "f-other"}),
        "master-2:8080 leads, Mesos does not know it yet",
        None,
    ),
    "Marathon's framework is not active": (
        "marathon",
        frameworks("marathon", active=False),
        "master-2:8080 leads, but Mesos calls its framework inactive: it gets no offers",
        "on master-2: sudo systemctl restart marathon",
    ),
    "no Chronos leads": (
        "chronos",
        lambda one: one.set("chronos", "/v1/scheduler/leader", {"leader": ""}),
        "no instance leads",
        "wait for ZooKeeper's quorum",
    ),
    "Chronos has no framework": (
        "chronos",
        frameworks("marathon"),
        "master-1:4400 leads, Mesos does not know it yet",
        None,
    ),
    "Chronos is frozen": (
        "chronos",
        frameworks("chronos", active=False),
        "master-1:4400 leads, but Mesos calls its framework inactive: it gets no offers",
        "on master-1: sudo systemctl restart chronos",
    ),
    "no Consul server leads": (
        "consul/dc1",
        lambda one: one.set("consul/dc1", "/v1/status/leader", '""'),
        "no server leads",
        None,
    ),
    "Consul knows no access lists": (
        "consul/dc1",
        lambda one: one.set("consul/dc1", "/v1/acl/token/self", Says(403, "ACL not found")),
        "403 'ACL not found'",
        "clustermesos nodes plan consul-1",
    ),
    "Consul's access lists are off": (
        "consul/dc1",
        lambda one: one.set("consul/dc1", "/v1/acl/token/self", Says(401, "ACL support disabled")),
        "it has no access lists, so that everybody may change everything",
        "clustermesos nodes plan consul-1",
    ),
    "a member failed": (
        "consul/eu",
        lambda one: one.set("consul/eu", "/v1/agent/members", members(*IN_EU, master_2=4, edge_1=3)),
        "10.20.20.10:8300 leads, 1 of 1 servers are peers, 7 members live; master-2: failed; edge-1: left",
        "clustermesos nodes plan master-2",
    ),
    "a node is no member": (
        "consul/eu",
        lambda one: one.set("consul/eu", "/v1/agent/members", members(*IN_EU[1:])),
        "10.20.20.10:8300 leads, 1 of 1 servers are peers, 8 members live; consul-1: no member",
        "clustermesos nodes plan consul-1",
    ),
    "an agent is no member, at the other site": (
        "consul/dc1",
        lambda one: one.set("consul/dc1", "/v1/agent/members", members(*IN_DC1, agent_1=4)),
        "10.20.20.10:8300 leads, 1 of 1 servers are peers, 1 members live; 0 of 1 agents are members",
        "clustermesos nodes plan agent",
    ),
    "the registry is down": (
        "registry",
        lambda one: one.stop("registry"),
        "connection refused",
        "clustermesos nodes plan consul-1",
    ),
    "the registry's storage is broken": (
        "registry",
        lambda one: one.set("registry", "/debug/health", Says(503, {"storagedriver_filesystem": "no disk"})),
        "503",
        "clustermesos nodes plan consul-1",
    ),
    "an edge is down": (
        "edge/eu",
        lambda one: one.stop("edge/eu", "edge-2"),
        "1 of 2 serve; edge-2: connection refused",
        "clustermesos nodes plan edge-2",
    ),
    "an edge's nginx is down": (
        "edge/eu",
        lambda one: one.set("edge/eu", "/state", {"ok": False, "routes": {}, "problems": {}}, "edge-1"),
        "1 of 2 serve; edge-1: nginx does not run, or has no routes from Consul yet",
        "clustermesos nodes plan edge-1",
    ),
    "something else answers at the edges": (
        "edge/eu",
        lambda one: one.set("edge/eu", "/state", "<html><title>welcome</title></html>"),
        "0 of 2 serve; edge-1: 200 with a web page 'welcome' where JSON is expected",
        "clustermesos nodes plan edge-1",
    ),
}


def test_a_platform_that_is_ready_says_so_of_every_program_in_the_order_of_their_needs(
    platform: Checked,
) -> None:
    found = platform.all()

    assert tuple(found) == ASKED
    assert {one.check: one.says for one in found.values() if not one.good} == {}
    assert {one.says for name, one in found.items() if name in ("mesos", "consul/eu", "edge/eu")} == {
        "master-1 leads, 4 of 4 agents are active",
        "10.20.20.10:8300 leads, 1 of 1 servers are peers, 9 members live",
        "2 of 2 serve",
    }


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_not_ready_is_named_with_what_helps(name: str, platform: Checked) -> None:
    program, break_it, says, helps = BROKEN[name]
    break_it(platform)

    found = platform.one(program, Jumps().clock)

    assert not found.good
    assert says in found.says
    assert found.try_next == helps
    assert not any(token in found.says for token in platform.expected.tokens.values())


def test_a_token_that_is_refused_names_the_access_list(platform: Checked) -> None:
    platform.set("consul/eu", "/v1/acl/token/self", Says(403, "Permission denied"))

    assert "its access list does not allow this" in platform.one("consul/eu", Jumps().clock).says


FINE: dict[str, tuple[str, Break]] = {
    "the one ZooKeeper that is down is no obstacle": (
        "zookeeper",
        lambda one: one.stop("zookeeper", "master-1"),
    ),
    "the first master is down, and another one leads": (
        "mesos",
        both(
            lambda one: one.stop("mesos", "master-1"),
            lambda one: one.set("mesos", "/metrics/snapshot", {"master/elected": 1.0}, "master-2"),
        ),
    ),
    "an agent without a fault domain is at home": ("mesos", agents(*AGENTS[1:], agent("general", None))),
    "an agent that was replaced is still remembered": (
        "consul/eu",
        lambda one: one.set("consul/eu", "/v1/agent/members", members(*IN_EU, agent_0=4)),
    ),
    "a simulator's Consul is nobody's site": (
        "consul/eu",
        both(
            lambda one: one.set("consul/eu", "/v1/agent/members", Says(500, "not to be asked")),
            Checked.simulate,
        ),
    ),
    "a simulator's Consul may have no access lists": (
        "consul/eu",
        both(
            lambda one: one.set("consul/eu", "/v1/acl/token/self", Says(401, "ACL support disabled")),
            Checked.simulate,
        ),
    ),
    "a route that nginx refused is its contract's trouble": (
        "edge/eu",
        lambda one: one.set("edge/eu", "/state", {"ok": True, "routes": {}, "problems": {"shop": "no"}}),
    ),
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_no_obstacle(name: str, platform: Checked) -> None:
    program, change = FINE[name]
    change(platform)

    found = platform.one(program, Jumps().clock)

    assert found.good, found.says


def test_the_gate_opens_once_all_is_ready_and_says_what_it_waits_for(platform: Checked) -> None:
    platform.set("consul/dc1", "/v1/status/leader", '""')
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        platform.heal()

    found = wait_until_ready(platform.endpoints, platform.expected, Deadline(60.0, Jumps().clock), say)

    assert [line.partition(" (")[0] for line in said] == ["waiting for consul/dc1: no server leads"]
    assert all(one.good for one in found)


@pytest.mark.slow
def test_a_site_that_is_cut_off_and_that_no_contract_needs_is_a_warning_at_the_end(platform: Checked) -> None:
    platform.set("consul/dc1", "/v1/status/leader", '""')
    platform.set("mesos", "/master/slaves", {"slaves": [agent("general", "eu")] * 3})
    said: list[str] = []

    def gate(spared: str) -> dict[str, Any]:
        deadline = Deadline(20.0, Jumps().clock)
        found = wait_until_ready(
            platform.endpoints, platform.expected, deadline, said.append, spared=[spared]
        )
        return {one.check: one for one in found}

    found = gate("dc1")

    assert all(one.good for one in found.values())
    assert [name for name, one in found.items() if one.mark == "?"] == ["mesos", "consul/dc1"]
    assert found["mesos"].says == (
        "master-1 leads, 3 of 4 agents are active; pool general of dc1: 0 of 1; "
        "gone on without dc1, where no contract has instances"
    )
    assert said[-1].startswith("consul/dc1: no server leads; gone on without dc1")
    platform.set("mesos", "/master/slaves", {"slaves": [agent("general", "eu")] * 2})
    for spared in ("dc1", "eu"):
        with pytest.raises(HookError, match="the platform is not ready after 20 s; nothing was changed"):
            gate(spared)


def chronos_and_one_of_each_are_away(platform: Checked) -> None:
    platform.set("mesos", "/master/slaves", {"slaves": [agent("general", "eu"), agent("general", "dc1")]})
    platform.set("chronos", "/v1/scheduler/leader", Says(404))
    platform.set("edge/eu", "/state", {"ok": False}, "edge-2")
    platform.set("consul/eu", "/v1/agent/members", members(*IN_EU, agent_2=4))


def no_agent_of_a_pool(platform: Checked) -> None:
    platform.set("mesos", "/master/slaves", {"slaves": [agent("general", "eu")] * 3})


def no_edge(platform: Checked) -> None:
    platform.set("edge/eu", "/state", {"ok": False})


def no_marathon(platform: Checked) -> None:
    platform.set("marathon", "/v2/leader", Says(404))


def no_leader_at_a_site(platform: Checked) -> None:
    platform.set("consul/eu", "/v1/status/leader", '""')


def test_an_urgent_change_passes_the_gate_at_once_with_a_warning_for_all_that_is_away(
    platform: Checked,
) -> None:
    chronos_and_one_of_each_are_away(platform)
    said: list[str] = []
    jumps = Jumps()

    found = wait_until_ready(
        platform.endpoints, platform.expected, Deadline(900.0, jumps.clock), said.append, degraded=True
    )

    assert all(one.good for one in found) and jumps.time - 1000 < 5
    warned = [one.check for one in found if one.mark == "?"]
    assert warned == ["mesos", "chronos", "consul/eu", "edge/eu"]
    assert [line.partition(": ")[0] for line in said] == warned
    assert all(line.endswith("; gone on all the same: --degraded") for line in said)


@pytest.mark.parametrize("break_it", [no_agent_of_a_pool, no_edge, no_marathon, no_leader_at_a_site])
def test_what_an_urgent_change_needs_keeps_the_gate_closed(
    break_it: Callable[[Checked], None], platform: Checked
) -> None:
    break_it(platform)

    with pytest.raises(HookError, match="is not ready after 20 s; nothing was changed"):
        wait_until_ready(
            platform.endpoints,
            platform.expected,
            Deadline(20.0, Jumps().clock),
            lambda _: None,
            degraded=True,
        )


def test_the_gate_that_stays_closed_names_all_that_is_missing_and_changes_nothing(platform: Checked) -> None:
    platform.set("edge/eu", "/state", {"ok": False}, "edge-2")
    platform.set("consul/dc1", "/v1/status/leader", '""')

    with pytest.raises(HookError) as closed:
        wait_until_ready(platform.endpoints, platform.expected, Deadline(20.0, Jumps().clock), lambda _: None)

    assert str(closed.value).splitlines() == [
        "the platform is not ready after 20 s; nothing was changed",
        "  consul/dc1: no server leads",
        "  edge/eu: 1 of 2 serve; edge-2: nginx does not run, or has no routes from Consul yet "
        "(try: clustermesos nodes plan edge-2)",
    ]
