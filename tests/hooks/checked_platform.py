"""A platform of two sites whose programs are scripted: what each node's program answers, a test changes."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from constructs_lib.hooks.checks import look
from constructs_lib.hooks.deadline import REAL, Clock, Deadline
from constructs_lib.hooks.endpoints import Endpoints, Instance, planned
from constructs_lib.hooks.finding import Expected, Finding
from constructs_lib.hooks.platform import expected
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from scripts.embedded_aws import free_port
from tests.hooks.scripted_server import Asked, Says, scripted
from tests.nodes.clusters import HYBRID

CLUSTER = plan(
    ClusterSpec.model_validate(
        {
            **HYBRID,
            "sites": {
                "eu": HYBRID["sites"]["eu"]
                | {"masters": {"count": 3}, "agents": {"general": {"count": 3}}, "edge": {"count": 2}},
                "dc1": HYBRID["sites"]["dc1"]
                | {"agents": {"general": {"count": 1}, "burst": {"min": 0, "max": 4}}},
            },
        }
    )
)
TOKENS = {"eu": "token-of-eu", "dc1": "token-of-dc1"}
ASKED = ("zookeeper", "mesos", "marathon", "chronos", "registry", "consul/eu", "consul/dc1", "edge/eu")
FRAMEWORKS = [
    {"id": "f-marathon", "name": "marathon", "active": True},
    {"id": "f-chronos", "name": "chronos-3.0.2", "active": True},
]
Answers = dict[str, Any]
"""Path → what is answered: `Says`, or the body of a 200."""


def agent(pool: str, region: str | None, *, active: bool = True) -> dict[str, Any]:
    domain = {"fault_domain": {"region": {"name": region}, "zone": {"name": "a"}}} if region else None
    return {"active": active, "attributes": {"pool": pool}, **({"domain": domain} if domain else {})}


AGENTS = [agent("general", "eu")] * 3 + [agent("general", "dc1")]


def members(*names: str, **states: int) -> list[dict[str, Any]]:
    """Consul's, all alive (1) but those that `states` names, with `_` for `-`."""
    found = dict.fromkeys(names, 1) | {name.replace("_", "-"): state for name, state in states.items()}
    return [{"Name": name, "Status": state} for name, state in found.items()]


IN_EU = (
    *("consul-1", "master-1", "master-2", "master-3", "edge-1", "edge-2"),
    *("agent-1", "agent-2", "agent-3"),
)
IN_DC1 = ("consul-1", "agent-1")


def healthy(program: str, node: str) -> Answers:
    if program == "mesos":
        return {
            "/metrics/snapshot": {"master/elected": float(node == "master-1")},
            "/master/slaves": {"slaves": AGENTS},
            "/master/frameworks": {"frameworks": FRAMEWORKS},
        }
    if program.startswith("consul/"):
        return {
            "/v1/status/leader": json.dumps("10.20.20.10:8300"),
            "/v1/status/peers": ["10.20.20.10:8300"],
            "/v1/acl/token/self": {"AccessorID": "a"},
            "/v1/agent/members": members(*(IN_EU if program == "consul/eu" else IN_DC1)),
        }
    others: dict[str, Answers] = {
        "marathon": {
            "/v2/leader": {"leader": "master-2:8080"},
            "/v2/info": {"frameworkId": "f-marathon"},
        },
        "chronos": {"/v1/scheduler/leader": {"leader": "master-1:4400"}},
        "registry": {"/debug/health": {}},
        "edge/eu": {"/state": {"ok": True, "routes": {}, "problems": {}}},
    }
    return others[program]


@dataclass
class Checked:
    """The platform; `answers` and `modes` (of ZooKeeper, by node) are what its programs say."""

    ports: dict[tuple[str, str], int] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answers] = field(default_factory=dict)
    modes: dict[str, str] = field(default_factory=dict)
    down: set[tuple[str, str]] = field(default_factory=set)
    simulator: bool = False

    def heal(self) -> None:
        for program, node in self.ports:
            self.answers[program, node] = healthy(program, node) if program != "zookeeper" else {}
        self.modes.update({"master-1": "follower", "master-2": "leader", "master-3": "follower"})
        self.down.clear()
        self.simulator = False

    def set(self, program: str, path: str, says: Any, *nodes: str) -> None:
        """Another answer, of all nodes that run the program or of these."""
        for (name, node), answers in self.answers.items():
            if name == program and (not nodes or node in nodes):
                answers[path] = says

    def stop(self, program: str, *nodes: str) -> None:
        """Nobody listens there any longer."""
        self.down |= {key for key in self.ports if key[0] == program and (not nodes or key[1] in nodes)}

    def simulate(self) -> None:
        """From now on a simulator answers."""
        self.simulator = True

    @property
    def endpoints(self) -> Endpoints:
        """As they were planned, at the ports that these programs have."""
        return Endpoints(
            instances={
                program: tuple(self._here(program, one) for one in planned(CLUSTER)[program])
                for program in ASKED
            },
            simulator=self.simulator,
        )

    def _here(self, program: str, one: Instance) -> Instance:
        key = (program, one.node)
        port = free_port() if key in self.down else self.ports[key]
        return replace(one, address="127.0.0.1", port=port)

    @property
    def expected(self) -> Expected:
        return expected(CLUSTER, TOKENS)

    def all(self, clock: Clock = REAL) -> dict[str, Finding]:
        found = look(self.endpoints, self.expected, Deadline(60.0, clock))
        return {one.check: one for one in found}

    def one(self, program: str, clock: Clock) -> Finding:
        """One program alone, with the Mesos masters that it is known by: one that is down lets time pass."""
        instances = self.endpoints.instances
        few = {name: instances[name] for name in ("mesos", program)}
        found = look(replace(self.endpoints, instances=few), self.expected, Deadline(60.0, clock))
        return next(one for one in found if one.check == program)


@contextmanager
def zookeeper(mode: Callable[[], str]) -> Iterator[int]:
    """A server that answers `srvr`, and nothing else."""

    class Answer(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            if self.request.recv(4) == b"srvr":
                said = mode()
                known = said in ("leader", "follower", "standalone")
                self.request.sendall(
                    f"Zookeeper version: 3.8.0\nMode: {said}\n".encode() if known else said.encode()
                )

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@contextmanager
def checked_platform() -> Iterator[Checked]:
    found = Checked()

    def answering(key: tuple[str, str]) -> Callable[[Asked], Says]:
        def answer(asked: Asked) -> Says:
            says = found.answers[key].get(asked.path.partition("?")[0], Says(404, {"message": "none"}))
            return says if isinstance(says, Says) else Says(body=says)

        return answer

    with ExitStack() as stack:
        for program in ASKED:
            for one in planned(CLUSTER)[program]:
                key = (program, one.node)
                if program == "zookeeper":
                    found.ports[key] = stack.enter_context(zookeeper(_mode(found, one.node)))
                else:
                    found.ports[key] = stack.enter_context(scripted(answering(key))).port
        yield found


def _mode(found: Checked, node: str) -> Callable[[], str]:
    return lambda: found.modes[node]
