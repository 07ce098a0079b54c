"""An edge, in a lab of its own with a Consul server: what it routes, and that it does without Consul too."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.lab.image import image
from constructs_lib.lab.keeper import KeptLab, connect, end, launch
from constructs_lib.spec.workspace import Workspace
from tests.lab.asking import LONG, SECRETS, consul, says, seen
from tests.lab.conftest import CLUSTER, JOURNALS
from tests.lab.drill import Drill
from tests.lab.healthy import BOOT_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
NODES = ("consul-1", "edge-1")
VISIT = "curl -s -o /dev/null -w %{http_code} -m 5 -H Host:shop.example.org http://127.0.0.1/"
STATE = "curl -s http://127.0.0.1:8087/state"
REGISTER = "consul services register -name=shop -id=edge:one:1 -address=127.0.0.1 -port=9999 -tag=version=v1"
APPLICATION = """[Service]
ExecStart=/usr/bin/python3 -m http.server --directory /etc/hostname.d --bind 127.0.0.1 9999
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
def edged(lab_machine: None) -> Iterator[KeptLab]:
    """A Consul server and an edge, booted, with an application on the edge itself."""
    folder = Path(tempfile.mkdtemp(prefix="clustermesos-"))
    text = CLUSTER.read_text().replace("name: drill", "name: edging")
    (folder / "cluster.yaml").write_text(text.replace("    agents:", "    edge: {count: 1}\n    agents:"))
    workspace = Workspace(folder / "cluster.yaml")
    process = launch(workspace, image(), tied=True, agents={})
    try:
        lab = connect(workspace)
        with JOURNALS.while_booting(lab, "edge"):
            lab.start(*NODES)
            lab.wait(BOOT_SECONDS, *NODES)
        yield lab
    finally:
        end(workspace, process)
        shutil.rmtree(folder)


def _answered(lab: KeptLab) -> str:
    """The status of a visitor's request for the application."""
    return lab.run("edge-1", *VISIT.split()).out


def _state(lab: KeptLab) -> str:
    return lab.run("edge-1", *STATE.split()).out


def _routes(lab: KeptLab, generation: int, host: str = "shop.example.org") -> None:
    route = {"contract": "shop", "service": "shop", "host": host, "path": "/", "drain": []}
    document = json.dumps({**route, "generation": generation, "weights": {"v1": 100}})
    consul(lab, "consul-1", "kv", "put", "clustermesos/routes/shop", document)


def _offers_an_application(lab: KeptLab) -> None:
    unit = f"cat >/etc/systemd/system/application.service <<'END'\n{APPLICATION}END\n"
    says(lab, "edge-1", "sh", "-c", f"mkdir -p /etc/hostname.d; {unit}systemctl enable --now application")
    token = f"CONSUL_HTTP_TOKEN_FILE={SECRETS}/service"
    says(lab, "edge-1", "sh", "-c", f"{token} {REGISTER}")


def test_an_edge_that_reboots_without_consul_routes_what_it_did(edged: KeptLab, record: Drill) -> None:
    lab = edged
    _offers_an_application(lab)
    assert _answered(lab) == "503"
    _routes(lab, 1)
    seen("the application is routed", LONG, lambda: _answered(lab), lambda status: status == "200")
    state = json.loads(_state(lab))
    assert state["routes"]["shop"]["generation"] == 1 and state["problems"] == {}
    record.breaks(
        "a route's document gets a host that is none, then the only Consul server and the edge lose power",
        "the route stays as it was; the edge comes back with it while Consul is away, then follows it again",
    )
    _routes(lab, 2, "no host")
    seen("the edge says what is wrong", LONG, lambda: _state(lab), lambda state: "no host" in state)
    assert _answered(lab) == "200"
    record.saw("the bad document is named, and changes nothing")
    lab.crash("consul-1")
    lab.crash("edge-1")
    lab.start("edge-1")
    seen("the application is routed", LONG, lambda: _answered(lab), lambda status: status == "200")
    record.saw("the edge is back and routes, without Consul")
    lab.start("consul-1")
    lab.wait(BOOT_SECONDS, *NODES)
    _offers_an_application(lab)
    _routes(lab, 3)
    seen("the next generation", LONG, lambda: _state(lab), lambda state: '"generation": 3' in state)
    # Serf writes a join down at the next event: a server that lost power meets the edge once that calls.
    seen("the application is routed", LONG, lambda: _answered(lab), lambda status: status == "200")
    record.saw("with Consul back it takes over the next generation")
