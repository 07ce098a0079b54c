"""Docker restarted: on an agent that publishes a port, on a master and on the Consul node."""

from __future__ import annotations

from functools import partial

import pytest

from constructs_lib.lab.keeper import KeptLab
from constructs_lib.lab.network import STRANGER
from tests.lab.asking import LONG, address, quorum, reaches, says, until
from tests.lab.drill import Drill
from tests.lab.healthy import HEALTHY_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
AGENT = "general-1"
PORT = 8099
BESIDE = {
    "master-1": ("zookeeper", "mesos-master", "marathon", "chronos", "consul"),
    "consul-1": ("consul", "prometheus"),
}
"""Units that don't run in a container here, by node; Chronos does not run on every master."""
NEEDED = {"zookeeper", "mesos-master", "consul"}
BOX = "tar -c -C / bin/busybox | docker import - drill"
RUN = "docker run -d --name drill --restart unless-stopped --stop-timeout 1"
"""As PID 1 busybox does not end when it is told to, and Docker would wait ten seconds for it."""


def _serves(lab: KeptLab) -> bool:
    inside = f"timeout 10 bash -c 'exec 3<>/dev/tcp/127.0.0.1/{PORT}'"
    return lab.run(AGENT, "sh", "-c", inside).code == 0


def test_published_ports_filtered_before_and_after_a_docker_restart(lab: KeptLab, drill: Drill) -> None:
    here = address(lab, AGENT)
    serve = f"/bin/busybox httpd -f -p {PORT} -h /"
    run = f"{RUN} -p {PORT}:{PORT} drill {serve}"
    says(lab, AGENT, "sh", "-c", BOX)
    try:
        says(lab, AGENT, "sh", "-c", run)
        until("the container serves", LONG, lambda: _serves(lab))
        drill.breaks(
            f"a container publishes port {PORT}, which nobody declared; then Docker is restarted",
            "the node firewall filters the port before and after; the container comes back",
        )
        assert not reaches(lab, "master-1", here, PORT)
        assert not reaches(lab, STRANGER, here, PORT)
        drill.saw("filtered before: the node reaches it, a master and a stranger do not")
        says(lab, AGENT, "systemctl", "restart", "docker.service")
        until("the container serves again", LONG, lambda: _serves(lab))
        assert not reaches(lab, "master-1", here, PORT)
        assert not reaches(lab, STRANGER, here, PORT)
        drill.saw("filtered after the restart, and the container serves again")
        # The control: it is this chain that filters, and nothing else.
        says(lab, AGENT, "nft", "flush", "chain", "inet", "clustermesos", "forward")
        says(lab, AGENT, "nft", "chain", "inet", "clustermesos", "forward", "{ policy accept; }")
        until("a master reaches it", LONG, lambda: reaches(lab, "master-1", here, PORT))
        drill.saw("with the chain taken away a master reaches it: nothing else filters")
        says(lab, AGENT, "systemctl", "restart", "clustermesos-firewall.service")
        assert not reaches(lab, "master-1", here, PORT)
    finally:
        lab.run(AGENT, "systemctl", "restart", "clustermesos-firewall.service")
        lab.run(AGENT, "docker", "rm", "--force", "drill")


def _processes(lab: KeptLab, name: str) -> dict[str, str]:
    """The main process of each unit that runs beside Docker."""
    show = ("systemctl", "show", "--property=MainPID", "--value")
    found = {unit: says(lab, name, *show, f"{unit}.service") for unit in BESIDE[name]}
    return {unit: process for unit, process in found.items() if process != "0"}


def _runs(lab: KeptLab, name: str) -> bool:
    return says(lab, name, "docker", "ps", "--quiet", "--filter", "name=^drill$") != ""


def test_docker_restarted_on_a_master_and_on_the_consul_node(lab: KeptLab, drill: Drill) -> None:
    run = f"{RUN} drill /bin/busybox sleep 3600"
    before = {name: _processes(lab, name) for name in BESIDE}
    assert before["master-1"].keys() >= NEEDED
    assert "consul" in before["consul-1"]
    modes = quorum(lab)
    try:
        for name in BESIDE:
            says(lab, name, "sh", "-c", f"{BOX} && {run}")
        drill.breaks(
            "Docker is restarted on a master and on the Consul node, each with a container",
            "what does not run in a container is not touched: the same processes, the same leader; the "
            "containers come back, and all are healthy",
        )
        for name in BESIDE:
            says(lab, name, "systemctl", "restart", "docker.service")
        for name in BESIDE:
            until(f"the container on {name} runs again", LONG, partial(_runs, lab, name))
        drill.saw("both containers run again")
        lab.wait(HEALTHY_SECONDS)
        assert {name: _processes(lab, name) for name in BESIDE} == before
        assert quorum(lab) == modes
        units = sum(map(len, before.values()))
        drill.saw(f"all healthy, the {units} services beside it are the same processes, the same leader")
    finally:
        for name in BESIDE:
            lab.run(name, "docker", "rm", "--force", "drill", timeout=LONG)
            lab.run(name, "docker", "rmi", "--force", "drill", timeout=LONG)
