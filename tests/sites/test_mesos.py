"""A Mesos agent of another site, and the master at home, while the real link is cut and afterwards.

ZooKeeper, the link, every firewall, and the programs that complete settings are real; mesos-master,
mesos-agent and Docker are doubles: they read the rendered settings, and run no task.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.plan.plan import plan
from constructs_lib.simulator.build import build
from constructs_lib.spec.model import ClusterSpec
from tests.conftest import need, tool
from tests.lab.asking import LONG as LONGEST
from tests.lab.asking import until
from tests.nodes.clusters import HYBRID
from tests.sites.machine import Machine, stop
from tests.sites.network import AGENT, Network, network

pytestmark = [pytest.mark.root, pytest.mark.slow]
MASTER = "master-1"
AWAY = "dc1"
DOUBLES = "/run/doubles"
DOCKER = '#!/bin/sh\n# Double.\n[ "$1" = version ] && echo 1.51 || echo "Docker version 28.5.1"\n'


class Mesos:
    """One master at the home site, and agents that are started later."""

    def __init__(self, joined: Network, jars: str, doubles: Path) -> None:
        self.joined, self.jars, self.doubles = joined, jars, doubles
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.home = joined.machine("eu", MASTER)

    def start_master(self) -> None:
        self.home.run("sh", "-c", self.completes(self.home, "zookeeper"))
        main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
        words = ("java", "-Xmx128m", "-cp", self.jars, main, "/run/zookeeper/zoo.cfg")
        self.home.starts(*words, into="/run/zookeeper.log")
        self.home.run("sh", "-c", self.completes(self.home, "mesos-master"))
        self.home.starts(*self.wrapper(self.home, "master"), into="/run/master.log")
        until("a master leads", LONGEST, lambda: self.agents() == {})

    def completes(self, machine: Machine, unit: str) -> str:
        """What the unit does before it starts its program, but for what it asks of Docker."""
        machine.at(f"/run/{unit}").mkdir(exist_ok=True)
        text = machine.at(f"/etc/systemd/system/{unit}.service").read_text().replace("\\\n", "")
        lines = re.findall(r"(?m)^ExecStartPre=\+?(/usr/local/.*)$", text)
        assert lines
        return " && ".join(lines)

    def wrapper(self, machine: Machine, role: str) -> tuple[str, ...]:
        """The package's program that starts Mesos with the node's settings."""
        machine.at(DOUBLES).mkdir(exist_ok=True)
        machine.run("ln", "-sfn", str(self.doubles / "usr"), f"{DOUBLES}/usr")
        machine.run("ln", "-sfn", "/etc", f"{DOUBLES}/etc")
        path = "PATH=/usr/local/bin:/usr/bin:/bin"
        return ("env", path, f"DOUBLE_ROOT={DOUBLES}", f"{DOUBLES}/usr/bin/mesos-init-wrapper", role)

    def start_agent(self, site: str) -> None:
        """As its unit does: first the program that completes its settings and waits for a master."""
        machine = self.joined.machine(site, AGENT)
        machine.put("/usr/local/bin/docker", DOCKER, 0o755)
        program = shlex.join(self.wrapper(machine, "agent"))
        script = f"{self.completes(machine, 'mesos-agent')} && exec {program}"
        self.running[site] = machine.starts("sh", "-c", script, into="/run/agent.log")

    def waits(self) -> bool:
        """Whether the other site's agent has all its settings and is known to nobody."""
        complete = self.joined.machine(AWAY, AGENT).at("/run/mesos-agent/docker.env").exists()
        assert AWAY not in self.agents() and self.running[AWAY].poll() is None
        return complete

    def get(self, machine: Machine, address: str, path: str) -> Any:
        """The answer at a Mesos port, asked from a machine; AssertionError where there is none."""
        return json.loads(machine.run("curl", "-sSf", "-m", "3", "--noproxy", "*", f"http://{address}{path}"))

    def agents(self) -> dict[str, dict[str, Any]]:
        """Site → its agent, as the leading master lists it."""
        sites = {self.joined.address(site, AGENT): site for site in self.joined.sites}
        found = self.get(self.home, f"{self.joined.address('eu', MASTER)}:5050", "/slaves")
        return {sites[agent["hostname"]]: agent for agent in found["slaves"]}

    def active(self, site: str) -> bool:
        """Whether the master has the agent and hears it."""
        found = self.agents()
        return site in found and bool(found[site]["active"])

    def registered(self, site: str) -> bool:
        """As the agent itself says."""
        found = self.get(self.joined.machine(site, AGENT), "127.0.0.1:5051", "/metrics/snapshot")
        return bool(found["slave/registered"] == 1.0)

    def cut(self) -> None:
        self.joined.internet.run("ip", "link", "set", AWAY, "down")

    def mend(self) -> None:
        self.joined.internet.run("ip", "link", "set", AWAY, "up")


@pytest.fixture(scope="module")
def booted(zookeeper_jars: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesos]:
    """Both sites' agents have booted, the one of the other site while it was cut off."""
    for program in ("wg-quick", "nft", "curl"):
        need(program)
    tool("wireguard-go")
    doubles = build(tmp_path_factory.mktemp("doubles"), {}, {})
    with network(plan(ClusterSpec.model_validate(HYBRID))) as joined:
        for site in joined.sites.values():
            site.link_up()
        made = Mesos(joined, zookeeper_jars, doubles)
        made.start_master()
        made.cut()
        for name in joined.sites:
            made.start_agent(name)
        until("the home site's agent is registered", LONGEST, lambda: made.active("eu"))
        until("the other one waits for a master", LONGEST, made.waits)
        made.mend()
        yield made


@pytest.fixture
def mesos(programs: None, booted: Mesos) -> Mesos:
    """Both agents are registered."""
    for site in booted.joined.sites:
        until(f"{site}'s agent is registered", LONGEST, partial(booted.active, site))
    return booted


def test_an_agent_that_booted_while_its_site_was_cut_off_is_registered_with_the_site_as_its_region(
    mesos: Mesos,
) -> None:
    found = mesos.agents()[AWAY]

    assert found["domain"] == {"fault_domain": {"region": {"name": AWAY}, "zone": {"name": "a"}}}
    assert found["attributes"] == {"pool": "private"}
    # As masters do to start tasks.
    address = f"{mesos.joined.address(AWAY, AGENT)}:5051"
    until(
        "the master reaches it",
        LONGEST,
        lambda: mesos.get(mesos.home, address, "/state")["id"] == found["id"],
    )


def test_an_agent_that_is_cut_off_runs_on_and_is_registered_again_by_itself_as_the_one_it_was(
    mesos: Mesos,
) -> None:
    before = mesos.agents()[AWAY]["id"]

    mesos.cut()
    until("the master misses it", LONGEST, lambda: not mesos.active(AWAY))
    until("it misses the master", LONGEST, lambda: not mesos.registered(AWAY))
    until("the home site's stays", LONGEST, lambda: mesos.active("eu"))

    mesos.mend()
    until("it is registered again", LONGEST, lambda: mesos.registered(AWAY))
    until("the master hears it", LONGEST, lambda: mesos.active(AWAY))
    assert mesos.agents()[AWAY]["id"] == before
    assert {site: agent.poll() for site, agent in mesos.running.items()} == {"eu": None, AWAY: None}


def test_an_agent_that_is_started_anew_while_its_site_is_cut_off_comes_back_as_the_one_it_was(
    mesos: Mesos,
) -> None:
    before = mesos.agents()[AWAY]["id"]

    mesos.cut()
    stop(mesos.running[AWAY])
    mesos.start_agent(AWAY)
    until("it answers, without a master", LONGEST, lambda: not mesos.registered(AWAY))
    assert mesos.running[AWAY].poll() is None

    mesos.mend()
    until("it is registered", LONGEST, lambda: mesos.registered(AWAY))
    assert mesos.agents()[AWAY]["id"] == before
