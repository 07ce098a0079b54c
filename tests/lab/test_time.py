"""Time servers that do not agree: nodes follow those that do."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from constructs_lib.lab.keeper import KeptLab
from constructs_lib.lab.overrides import read_overrides
from constructs_lib.nodes.render import render
from constructs_lib.plan.lock import read_lock
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.workspace import Workspace
from tests.lab.asking import LONG, says, seen, stays, until
from tests.lab.drill import Drill

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
NODES = ("master-1", "general-1")
HONEST = ("192.0.2.1", "192.0.2.2", "192.0.2.3")
LIAR = "192.0.2.66"
HOUR = 3600
CONF = "/etc/chrony/chrony.conf"
SERVER = Path(__file__).with_name("time_server.py")
UNSYNCHRONISED = "Not synchronised"
ANSWERS = 4
CHRONY_SECONDS = LONG
"""Four answers, 2 s apart, and a choice: 10 s where nothing else is to be done."""


@dataclass
class TimeServers:
    """Time servers on the lab's router, beyond the nodes' default gateway."""

    lab: KeptLab
    pids: dict[str, str] = field(default_factory=dict)

    def start(self, address: str, wrong_by: int = 0) -> None:
        """One at `address`, whose clock is `wrong_by` seconds ahead."""
        self._router("ip", "address", "replace", f"{address}/32", "dev", "lo")
        # -I: this folder's own modules are not for a program that begins in it.
        serve = f"{sys.executable} -I {SERVER} {address} {wrong_by} </dev/null >/dev/null 2>&1 & echo $!"
        self.pids[address] = self._router("sh", "-c", serve)
        # A burst of questions that nobody answers yet is followed by minutes without any.
        listens = partial(self._router, "ss", "-Hnul", "src", f"{address}:123")
        until(f"{address} listens", LONG, listens)

    def stop(self, *addresses: str) -> None:
        """These go; their ports are closed."""
        for address in addresses:
            self._router("kill", self.pids.pop(address))

    def _router(self, *command: str) -> str:
        done = self.lab.reach(None, *command)
        assert done.code == 0, f"{' '.join(command)}: {done.err}"
        return done.out.strip()


@pytest.fixture
def servers(lab: KeptLab) -> Iterator[TimeServers]:
    """Three honest ones, and one that is an hour ahead."""
    running = TimeServers(lab)
    try:
        for honest in HONEST:
            running.start(honest)
        running.start(LIAR, wrong_by=HOUR)
        yield running
    finally:
        running.stop(*running.pids)


@pytest.fixture
def chrony(lab: KeptLab, workspace: Workspace) -> Iterator[str]:
    """The chrony.conf of a cluster.yaml that names all four; afterwards the nodes have their own again."""
    own = {name: lab.run(name, "cat", CONF).out for name in NODES}
    assert all(own.values())
    yield _rendered(workspace, (*HONEST, LIAR))
    for name, text in own.items():
        _configure(lab, name, text)


def _rendered(workspace: Workspace, servers: tuple[str, ...]) -> str:
    overrides = read_overrides()
    data = overrides.apply(load(workspace.cluster_file)).model_dump(mode="json", exclude_unset=True)
    data["nodes"]["time_servers"] = list(servers)
    site = plan(ClusterSpec.model_validate(data), read_lock(workspace.lock_file)).site("eu")
    files = render(site, site.node("master-1"), without=overrides.without).files
    return next(file.content for file in files if file.path == CONF)


def _configure(lab: KeptLab, name: str, text: str) -> None:
    done = lab.run(name, "sh", "-c", f"cat >{CONF} && systemctl restart chrony.service", stdin=text)
    assert done.code == 0, done.err


def _chosen(lab: KeptLab, name: str) -> dict[str, str]:
    """Time server → chrony's word for it: * followed, + agrees, x lies, ? and - not used."""
    rows = [line.split(",") for line in says(lab, name, "chronyc", "-n", "-c", "sources").splitlines()]
    return {row[2]: row[1] for row in rows}


def _liar_answers(lab: KeptLab, name: str) -> bool:
    """Whether the liar answered often enough to be chosen, would chrony want it."""
    rows = [line.split(",") for line in says(lab, name, "chronyc", "-n", "-c", "sources").splitlines()]
    return any(row[2] == LIAR and int(row[5], 8).bit_count() >= ANSWERS for row in rows)


def _follows_the_honest(lab: KeptLab, name: str) -> bool:
    chosen = _chosen(lab, name)
    honest = [chosen[one] for one in HONEST]
    return chosen[LIAR] == "x" and honest.count("*") == 1 and set(honest) <= set("*+-")


def _tracking(lab: KeptLab, name: str) -> list[str]:
    return says(lab, name, "chronyc", "-n", "-c", "tracking").split(",")


def test_lying_time_server(lab: KeptLab, drill: Drill, servers: TimeServers, chrony: str) -> None:
    drill.breaks(
        "one of four time servers is an hour ahead, and then it is the only one that answers",
        "nodes outvote it, and follow nobody rather than one server whom no other confirms",
    )
    for name in NODES:
        _configure(lab, name, chrony)
    for name in NODES:
        until(f"{name} follows the honest", CHRONY_SECONDS, partial(_follows_the_honest, lab, name))
        tracking = seen("tracking", LONG, partial(_tracking, lab, name), lambda words: words[1] in HONEST)
        followed, behind = tracking[1], float(tracking[4])
        assert abs(behind) < HOUR / 60
        drill.saw(f"{name} follows {followed}; chronyc sources: {LIAR} is a falseticker (x)")
    servers.stop(*HONEST)
    for name in NODES:
        _configure(lab, name, chrony)
    for name in NODES:
        until("the liar has answered", CHRONY_SECONDS, partial(_liar_answers, lab, name))
    stays(
        "the liar is not chosen",
        lambda: [_chosen(lab, name)[LIAR] for name in NODES],
        lambda words: "*" not in words,
    )
    stays(
        "nobody is",
        lambda: {_tracking(lab, name)[-1] for name in NODES},
        lambda words: words == {UNSYNCHRONISED},
    )
    drill.saw("alone the liar is asked and answers, and no node follows it")
    # The control: it is this line that keeps a lone liar out.
    _configure(lab, NODES[0], chrony.replace("minsources 2\n", ""))
    until("it would be followed", CHRONY_SECONDS, lambda: _chosen(lab, NODES[0])[LIAR] == "*")
    drill.saw("without minsources 2 in chrony.conf a node would have followed it")
    _configure(lab, NODES[0], chrony)
    for honest in HONEST:
        servers.start(honest)
    for name in NODES:
        # chronyd asks silent servers every two minutes and more; this asks now.
        says(lab, name, "chronyc", "burst", "4/8")
        until(f"{name} follows the honest", CHRONY_SECONDS, partial(_follows_the_honest, lab, name))
    drill.saw("the honest ones are back and asked at once: followed again")
