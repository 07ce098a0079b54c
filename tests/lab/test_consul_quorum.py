"""Three Consul servers, in a lab of their own of nothing else: one may go, and without two nobody writes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.lab.image import image
from constructs_lib.lab.keeper import KeptLab, connect, end, launch
from constructs_lib.spec.workspace import Workspace
from tests.lab.asking import LONG, SECRETS, consul, seen, stays
from tests.lab.conftest import CLUSTER, JOURNALS
from tests.lab.drill import Drill
from tests.lab.healthy import BOOT_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
SERVERS = ("consul-1", "consul-2", "consul-3")
PUT_SECONDS = 20


@pytest.fixture
def three_servers(lab_machine: None) -> Iterator[KeptLab]:
    """Three Consul servers, booted; masters and gateway are never powered on."""
    folder = Path(tempfile.mkdtemp(prefix="clustermesos-"))
    text = CLUSTER.read_text().replace("name: drill", "name: voting")
    (folder / "cluster.yaml").write_text(text.replace("consul: {count: 1", "consul: {count: 3"))
    workspace = Workspace(folder / "cluster.yaml")
    process = launch(workspace, image(), tied=True, agents={})
    try:
        lab = connect(workspace)
        with JOURNALS.while_booting(lab, "three_servers"):
            lab.start(*SERVERS)
            lab.wait(BOOT_SECONDS, *SERVERS)
        yield lab
    finally:
        end(workspace, process)
        shutil.rmtree(folder)


def _peers(lab: KeptLab, at: str) -> dict[str, str]:
    """Server → leader or follower, of the voters that `at` knows."""
    lines = consul(lab, at, "operator", "raft", "list-peers").splitlines()[1:]
    return {words[0]: words[3] for words in map(str.split, lines) if words[4] == "true"}


def _one_leads(lab: KeptLab, at: str, among: tuple[str, ...]) -> str:
    """Wait until one of `among` leads three voters; returns it."""
    peers = seen(
        f"one of {', '.join(among)} leads",
        LONG,
        lambda: _peers(lab, at),
        lambda peers: set(peers) == set(SERVERS) and [peers[name] for name in among].count("leader") == 1,
    )
    return next(name for name in among if peers[name] == "leader")


def _takes(lab: KeptLab, at: str, key: str) -> bool:
    """Whether a write through this server is acknowledged."""
    put = f"CONSUL_HTTP_TOKEN_FILE={SECRETS}/management timeout {PUT_SECONDS} consul kv put {key} kept"
    return lab.run(at, "sh", "-c", put, timeout=LONG).code == 0


def _holds(lab: KeptLab, at: str, key: str) -> None:
    seen(f"{at} has {key}", LONG, lambda: consul(lab, at, "kv", "get", key), lambda value: value == "kept")


def test_leading_one_of_three_consul_servers_lost(three_servers: KeptLab, record: Drill) -> None:
    lab = three_servers
    old = _one_leads(lab, "consul-1", SERVERS)
    rest = tuple(name for name in SERVERS if name != old)
    seen("a write is taken", LONG, lambda: _takes(lab, old, "drill/before"))
    record.breaks(
        f"of three Consul servers the leading one ({old}) loses its power, and then a second one",
        "two elect a leader and go on; one alone acknowledges no write; with the power back all three vote "
        "again, and nothing acknowledged is lost",
    )
    lab.crash(old)
    new = _one_leads(lab, rest[0], rest)
    seen("a write is taken", LONG, lambda: _takes(lab, new, "drill/by-two"))
    _holds(lab, rest[0], "drill/before")
    record.saw(f"{new} leads, and takes writes")
    lab.crash(new)
    [alone] = [name for name in rest if name != new]
    stays(
        f"{alone} alone takes no write", lambda: _takes(lab, alone, "drill/by-one"), lambda taken: not taken
    )
    record.saw(f"{alone} alone acknowledges no write")
    lab.start(old, new)
    lab.wait(BOOT_SECONDS, *SERVERS)
    leader = _one_leads(lab, alone, SERVERS)
    for name in SERVERS:
        for key in ("drill/before", "drill/by-two"):
            _holds(lab, name, key)
    record.saw(f"all three vote, {leader} leads, nothing is lost")
