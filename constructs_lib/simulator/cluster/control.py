"""The simulator's own paths, on every port below `/simulator`: faults, lives and use of tasks, time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from constructs_lib.simulator.cluster.faults import read_fault
from constructs_lib.simulator.cluster.mesos_api import NOTICE
from constructs_lib.simulator.cluster.profiles import read_profile
from constructs_lib.simulator.cluster.timeline import HandClock
from constructs_lib.simulator.cluster.usage import read_use
from constructs_lib.simulator.cluster.world import iso
from constructs_lib.simulator.web import Answer, Question

if TYPE_CHECKING:
    from constructs_lib.simulator.cluster.cluster import SimulatedCluster


class Control:
    """Answers to `/simulator/…`."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._cluster = cluster
        self._routes: Mapping[tuple[str, str], Callable[[Any], object]] = {
            ("GET", ""): lambda _body: self._about(),
            ("GET", "/faults"): lambda _body: cluster.faults.listed(),
            ("POST", "/faults"): self._inject,
            ("DELETE", "/faults"): lambda _body: cluster.heal(),
            ("GET", "/profiles"): lambda _body: cluster.world.profiles.listed(),
            ("PUT", "/profiles"): self._profiles,
            ("GET", "/usage"): lambda _body: cluster.usage.listed(),
            ("PUT", "/usage"): self._usage,
            ("POST", "/advance"): self._advance,
            ("POST", "/leader"): self._leader,
        }

    def answer(self, question: Question) -> Answer:
        """The answer; 400 with what is wrong."""
        path = question.path.removeprefix("/simulator").rstrip("/")
        found = self._routes.get((question.method, path))
        if found is None:
            known = ", ".join(f"{method} /simulator{path}" for method, path in self._routes)
            return Answer(404, {"message": f"no such path of the simulator; there are {known}"})
        try:
            body = question.json() if question.body else {}
            with self._cluster.timeline.lock:
                return Answer(200, found(body) or {})
        except (ValueError, TypeError, KeyError) as error:
            return Answer(400, {"message": str(error.args[0] if error.args else error)})

    def _about(self) -> dict[str, Any]:
        return {
            "simulator": NOTICE,
            "time": iso(self._cluster.now()),
            "clock": "by hand" if isinstance(self._cluster.timeline.clock, HandClock) else "running",
            "urls": {name: list(self._cluster.urls(name)) for name in self._cluster.instances},
            "leaders": {name: one.leading for name, one in self._cluster.instances.items()},
            "agents": len(self._cluster.world.agents),
            "tasks": len(self._cluster.world.tasks),
        }

    def _inject(self, body: Any) -> None:
        listed = body if isinstance(body, list) else [body]
        for fault in [read_fault(_mapping(one)) for one in listed]:
            self._cluster.inject(fault)

    def _profiles(self, body: Any) -> None:
        read = {pattern: read_profile(_mapping(one)) for pattern, one in _mapping(body).items()}
        for pattern, profile in read.items():
            self._cluster.profile(pattern, profile)

    def _usage(self, body: Any) -> None:
        read = {pattern: read_use(_mapping(one)) for pattern, one in _mapping(body).items()}
        for pattern, use in read.items():
            self._cluster.use(pattern, use)

    def _advance(self, body: Any) -> dict[str, str]:
        seconds = _mapping(body).get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float):
            raise ValueError(f"seconds: got {seconds!r}, expected a number")
        self._cluster.advance(seconds)
        return {"time": iso(self._cluster.now())}

    def _leader(self, body: Any) -> None:
        given = _mapping(body)
        self._cluster.change_leader(str(given.get("program")), float(given.get("seconds", 0)))


def _mapping(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise ValueError(f"got {type(body).__name__}, expected a JSON object")
    return body
