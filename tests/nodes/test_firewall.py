"""The node firewall, read and run by the real nftables in network namespaces of their own."""

from __future__ import annotations

import dataclasses
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from constructs_lib.errors import RenderError
from constructs_lib.nodes.render import render
from tests.conftest import need
from tests.nodes.clusters import CASES, nodes, site

PATH = "/etc/clustermesos/firewall.nft"
CLOSED = "/etc/clustermesos/firewall-closed.nft"
UNIT = "/etc/systemd/system/clustermesos-firewall.service"


def firewall(case: str, name: str, path: str = PATH) -> str:
    planned = site(case)
    return render(planned, next(node for node in nodes(planned) if node.name == name)).file(path).content


def after_a_stop(rules: Path, result: str) -> list[str]:
    """What the unit does once it has ended, also a start that failed; `rules` is what it falls back to."""
    [command] = [
        line.removeprefix("ExecStopPost=/bin/sh -c ")
        for line in firewall("whole", "master-1", UNIT).splitlines()
        if line.startswith("ExecStopPost=")
    ]
    script = command.strip("'").replace("$$", "$").replace(CLOSED, str(rules))
    return ["env", f"SERVICE_RESULT={result}", "sh", "-c", script]


def test_every_rule_of_the_traffic_table_is_there_with_its_reason() -> None:
    planned = site("whole")
    for node in planned.nodes:
        text = render(planned, node).file(PATH).content
        for rule in planned.traffic_to(node.role):
            asked = f"meta l4proto {rule.protocol} ct original proto-dst {rule.range} ip saddr "
            [line] = [
                line.strip()
                for line in text.splitlines()
                if line.strip().startswith(asked) and line.endswith(f'}} accept comment "{rule.why}"')
            ]
            assert set(map(str, rule.networks)) <= set(line.split("{ ")[1].split(" }")[0].split(", "))


def test_a_rule_lets_in_nobody_but_those_of_the_traffic_table() -> None:
    planned = site("whole")
    for node in planned.nodes:
        rules = planned.traffic_to(node.role)
        for line in render(planned, node).file(PATH).content.splitlines():
            if "ct original proto-dst" in line:
                port, why = line.split("proto-dst ")[1].split()[0], line.split('"')[1]
                may = {str(n) for r in rules if (r.range, r.why) == (port, why) for n in r.networks}
                assert set(line.split("{ ")[1].split(" }")[0].split(", ")) == may


def test_ports_that_docker_publishes_are_filtered_where_they_are_forwarded() -> None:
    assert "chain forward" in firewall("whole", "general")


def test_a_gateway_of_a_site_that_is_alone_passes_nothing_on() -> None:
    for case in CASES:
        [chain] = re.findall(r"chain forward \{\n(.*?)\n  \}", firewall(case, "gateway-1"), re.DOTALL)
        assert chain.strip() == "type filter hook forward priority filter; policy drop;"


def test_the_ruleset_is_never_flushed() -> None:
    assert all("flush" not in firewall(case, node.name) for case in CASES for node in nodes(site(case)))


def test_a_plan_that_would_lock_the_operators_out_is_refused() -> None:
    planned = site("whole")
    locked = dataclasses.replace(planned, traffic=tuple(rule for rule in planned.traffic if rule.port != 22))

    with pytest.raises(RenderError, match="master nodes: no rule lets the gateway in on port 22"):
        render(locked, locked.nodes_of(Role.MASTER)[0])


def test_a_reason_that_nftables_would_not_take_is_refused() -> None:
    planned = site("whole")
    rules = tuple(dataclasses.replace(rule, why="x" * 129) for rule in planned.traffic)

    with pytest.raises(RenderError, match="at most 128"):
        render(dataclasses.replace(planned, traffic=rules), planned.nodes_of(Role.MASTER)[0])


@pytest.mark.root
def test_nftables_itself_accepts_every_nodes_rules(tmp_path: Path) -> None:
    nft = need("nft")
    for case in CASES:
        for node in nodes(site(case)):
            path = tmp_path / "firewall.nft"
            path.write_text(firewall(case, node.name))
            done = subprocess.run([nft, "-c", "-f", str(path)], capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{case}/{node.name}: {done.stderr}"


ATTEMPTS = 20


class Network:
    """A node's namespace with the firewall, one beside it that takes any address, and one of a container."""

    def __init__(self, folder: Path) -> None:
        self.rules = folder / "firewall.nft"
        self.node, self.other = f"cm-node-{folder.name[-8:]}", f"cm-other-{folder.name[-8:]}"
        self.container = f"cm-task-{folder.name[-8:]}"

    def ip(self, *arguments: str) -> None:
        subprocess.run(["ip", *arguments], check=True, capture_output=True)

    def build(self) -> None:
        self.ip("netns", "add", self.node)
        self.ip("netns", "add", self.other)
        self.ip("netns", "add", self.container)
        self.ip(
            "link", "add", "eth0", "netns", self.node, "type", "veth", "peer", "eth0", "netns", self.other
        )
        for space, address in ((self.node, "10.20.16.11/8"), (self.other, "10.20.80.12/8")):
            self.ip("-n", space, "address", "add", address, "dev", "eth0")
            self.ip("-n", space, "link", "set", "eth0", "up")
            self.ip("-n", space, "link", "set", "lo", "up")
        self.ip(
            "link",
            "add",
            "docker0",
            "netns",
            self.node,
            "type",
            "veth",
            "peer",
            "eth0",
            "netns",
            self.container,
        )
        for space, device, address in (
            (self.node, "docker0", "172.17.0.1/16"),
            (self.container, "eth0", "172.17.0.2/16"),
        ):
            self.ip("-n", space, "address", "add", address, "dev", device)
            self.ip("-n", space, "link", "set", device, "up")
        self.ip("-n", self.container, "route", "add", "default", "via", "172.17.0.1")

    def remove(self) -> None:
        for space in (self.node, self.other, self.container):
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)

    def run(self, space: str, *command: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["ip", "netns", "exec", space, *command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def load(self) -> None:
        done = self.run(self.node, "nft", "-f", str(self.rules))
        assert done.returncode == 0, done.stderr

    def reaches(self, source: str, port: int) -> bool:
        """Whether a connection from `source` is answered: a closed port answers, a filtered one does not."""
        self.ip("-n", self.other, "address", "flush", "dev", "eth0")
        self.ip("-n", self.other, "address", "add", f"{source}/8", "dev", "eth0")
        return self.answers(self.other, port)

    def lets_in(self, source: str, port: int) -> bool:
        """Whether one of some attempts is answered: on a busy machine the first may take too long."""
        return any(self.reaches(source, port) for _ in range(ATTEMPTS))

    def lets_in_from(self, space: str, port: int) -> bool:
        """The same for whoever is in that namespace."""
        return any(self.answers(space, port) for _ in range(ATTEMPTS))

    def answers(self, space: str, port: int) -> bool:
        """Whether the node answers whoever is in that namespace."""
        code = (
            "import socket, sys\n"
            "with socket.socket() as s:\n"
            "    s.settimeout(1.0)\n"
            f"    sys.exit(s.connect_ex(('10.20.16.11', {port})) == 11)\n"
        )
        return self.run(space, "python3", "-c", code).returncode == 0


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    for program in ("nft", "ip"):
        need(program)
    network = Network(tmp_path)
    network.rules.write_text(firewall("whole", "master-1"))
    try:
        network.build()
    except subprocess.CalledProcessError as error:
        network.remove()
        pytest.skip(f"this machine makes no network namespaces: {error.stderr.decode().strip()}")
    yield network
    network.remove()


@pytest.mark.root
def test_only_the_tables_sources_reach_a_port(network: Network) -> None:
    master, agent, consul, gateway = "10.20.80.12", "10.20.32.9", "10.20.20.11", "10.20.0.11"
    assert network.lets_in("10.99.0.1", 22), "without the firewall everything answers"
    network.load()

    assert network.lets_in(gateway, 22)
    assert not network.reaches("10.99.0.1", 22)
    assert not network.reaches(agent, 22)
    assert network.lets_in(agent, 2181)
    assert network.lets_in(master, 3888)
    assert not network.reaches(agent, 3888)
    assert network.lets_in(consul, 7000)
    assert not network.reaches(consul, 8081)


@pytest.mark.root
def test_containers_and_the_node_itself_reach_what_tasks_on_the_node_offer(network: Network) -> None:
    network.rules.write_text(firewall("whole", "general"))
    assert network.lets_in_from(network.container, 5051), "without the firewall everything answers"
    network.load()

    for port in (31000, 31500, 32000):
        assert network.lets_in_from(network.container, port)
        assert network.lets_in_from(network.node, port)
    assert not network.answers(network.container, 30999)
    assert not network.answers(network.container, 32001)
    assert not network.answers(network.container, 5051)


@pytest.mark.root
def test_loading_again_replaces_only_our_table(network: Network) -> None:
    dockers = "table ip nat { chain DOCKER { ip daddr 10.0.0.1 accept; }; }"
    assert network.run(network.node, "nft", "-f", "-", stdin=dockers).returncode == 0
    network.load()
    once = network.run(network.node, "nft", "list", "table", "inet", "clustermesos").stdout
    network.load()

    assert network.run(network.node, "nft", "list", "table", "inet", "clustermesos").stdout == once
    assert "chain DOCKER" in network.run(network.node, "nft", "list", "ruleset").stdout


@pytest.mark.root
@pytest.mark.parametrize("name", ["master-1", "general"])
def test_rules_that_nftables_refuses_leave_a_node_that_only_operators_reach(
    network: Network, name: str
) -> None:
    gateway, others = "10.20.0.11", ("10.20.80.12", "10.99.0.1")
    closed = network.rules.with_name("closed.nft")
    closed.write_text(firewall("whole", name, CLOSED))
    network.rules.write_text("table inet clustermesos { chain input { wrong; }; }\n")
    assert network.run(network.node, "nft", "-f", str(network.rules)).returncode
    assert network.lets_in(others[0], 22), "a filter that was not loaded lets everybody in"

    done = network.run(network.node, *after_a_stop(closed, "exit-code"))

    assert done.returncode == 0, done.stderr
    assert network.lets_in(gateway, 22)
    assert not any(network.reaches(other, 22) for other in others)
    assert not network.reaches(gateway, 2181)
    assert network.lets_in_from(network.node, 2181)
    # The next good rules replace it.
    network.rules.write_text(firewall("whole", "master-1"))
    network.load()
    assert network.lets_in("10.20.32.9", 2181)


@pytest.mark.root
@pytest.mark.parametrize("result", ["exit-code", "success"])
def test_rules_that_are_loaded_stay_when_new_ones_are_refused_or_the_unit_is_stopped(
    network: Network, result: str
) -> None:
    closed = network.rules.with_name("closed.nft")
    closed.write_text(firewall("whole", "master-1", CLOSED))
    network.load()

    assert network.run(network.node, *after_a_stop(closed, result)).returncode == 0

    assert network.lets_in("10.20.32.9", 2181)


@pytest.mark.root
def test_a_unit_that_is_stopped_before_it_loaded_anything_closes_nothing(network: Network) -> None:
    closed = network.rules.with_name("closed.nft")
    closed.write_text(firewall("whole", "master-1", CLOSED))

    assert network.run(network.node, *after_a_stop(closed, "success")).returncode == 0

    assert network.lets_in("10.99.0.1", 22)


def test_what_a_closed_node_lets_in_are_those_that_the_traffic_table_lets_in_by_ssh() -> None:
    planned = site("whole")
    for node in planned.nodes:
        text = render(planned, node).file(CLOSED).content
        [line] = [line for line in text.splitlines() if "dport 22" in line]
        may = {str(n) for rule in planned.traffic_to(node.role) if rule.port == 22 for n in rule.networks}
        assert set(line.split("{ ")[1].split(" }")[0].split(", ")) == may
