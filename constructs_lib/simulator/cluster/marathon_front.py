"""Marathon's instances: what each says of itself, and that all but the leader proxy to it."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator
from typing import Any

from constructs_lib.simulator.cluster.instances import Instances
from constructs_lib.simulator.cluster.marathon import Marathon
from constructs_lib.simulator.cluster.marathon_api import MarathonApi
from constructs_lib.simulator.cluster.mesos_api import NOTICE
from constructs_lib.simulator.cluster.world import World, iso
from constructs_lib.simulator.double import MARATHON_VERSION
from constructs_lib.simulator.web import Answer, Question

ELECTION_SECONDS = 2.0
"""How long nobody leads after a leader gave up."""
_QUIET_SECONDS = 5.0
_Events = queue.Queue[tuple[str, dict[str, Any]]]


class MarathonFront:
    """Answers for every instance. Time, tasks and apps are one for all."""

    def __init__(self, world: World, instances: Callable[[], Instances], most_deployments: int) -> None:
        self._world = world
        self._instances = instances
        self._listeners: list[_Events] = []
        self._began = world.now()
        self.marathon = Marathon(world, self._say, most_deployments=most_deployments)
        self._api = MarathonApi(self.marathon)

    def answer(self, question: Question, instance: int) -> Answer:
        """The answer of one instance."""
        path = question.path.rstrip("/") or "/"
        if path == "/ping":
            return Answer(200, "pong", kind="text/plain;charset=utf-8")
        if path in ("/metrics", "/metrics/prometheus"):
            return self._metrics(path, leading=self._instances().leader == instance)
        if not path.startswith("/v2/"):
            return Answer(404, {"message": f"URI not found: {path}"})
        if self._instances().leader is None:
            return Answer(503, {"message": "Could not determine the current leader"})
        found = self._own(question, path.removeprefix("/v2")) or Answer(
            500, {"message": f"URI not found: {path}"}
        )
        if self._instances().leader == instance:
            return found
        via = f"1.1 {self._instances().addresses[instance]}"
        return Answer(
            found.status,
            found.body,
            {**found.headers, "X-Marathon-Via": via},
            found.kind,
            found.cut,
            found.stream,
        )

    def new_leader(self) -> None:
        """Another instance leads."""
        self.marathon.leader_changed()

    def _own(self, question: Question, path: str) -> Answer | None:
        if path == "/info" and question.method == "GET":
            return Answer(200, self._info())
        if path == "/leader" and question.method == "GET":
            return Answer(200, {"leader": self._instances().leading})
        if path == "/leader" and question.method == "DELETE":
            self._instances().change_leader(ELECTION_SECONDS)
            return Answer(200, {"message": "Leadership abdicated"})
        if path == "/events" and question.method == "GET":
            return self._events()
        return self._api.answer(question, path)

    def _info(self) -> dict[str, Any]:
        return {
            "name": "marathon",
            "simulator": NOTICE,
            "version": MARATHON_VERSION,
            "buildref": "simulator",
            "elected": True,
            "leader": self._instances().leading,
            "frameworkId": self.marathon.framework_id,
            "marathon_config": {"max_running_deployments": self.marathon.most_deployments},
            "zookeeper_config": {},
            "http_config": {"http_port": self._instances().ports[self._instances().leader or 0]},
        }

    def _metrics(self, path: str, *, leading: bool) -> Answer:
        gauges = {
            "marathon.uptime.gauge.seconds": self._world.now() - self._began,
            "marathon.leadership.gauge": float(leading),
            "marathon.apps.active.gauge": float(len(self.marathon.apps)),
        }
        if path == "/metrics/prometheus":
            lines = "".join(f"{name.replace('.', '_')} {value}\n" for name, value in gauges.items())
            return Answer(200, lines, kind="text/plain; version=0.0.4; charset=utf-8")
        shown = {name: {"value": value} for name, value in gauges.items()}
        return Answer(200, {"version": "4.0.0", "gauges": shown, "counters": {}, "timers": {}})

    def _say(self, kind: str, fields: dict[str, Any]) -> None:
        event = {"eventType": kind, "timestamp": iso(self._world.now()), **fields}
        for listener in tuple(self._listeners):
            listener.put((kind, event))

    def _events(self) -> Answer:
        mine: _Events = queue.Queue()
        self._listeners.append(mine)
        return Answer(200, kind="text/event-stream", stream=self._stream(mine))

    def _stream(self, mine: _Events) -> Iterator[bytes]:
        try:
            yield b"event: event_stream_attached\ndata: {}\n\n"
            while True:
                try:
                    kind, event = mine.get(timeout=_QUIET_SECONDS)
                except queue.Empty:
                    # Also how a listener that went away is found out.
                    yield b"\n"
                    continue
                yield f"event: {kind}\ndata: {json.dumps(event)}\n\n".encode()
        finally:
            self._listeners.remove(mine)
