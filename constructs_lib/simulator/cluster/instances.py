"""The instances of one simulated program: a port each, one of them leads, and faults hit their answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from constructs_lib.simulator.cluster.faults import Fault, Faults
from constructs_lib.simulator.cluster.timeline import Timeline
from constructs_lib.simulator.web import Answer, Question, Web, login_guard

_GONE = Answer(cut=-1)
_PAGE = "<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"
_PIECE = 0.05
_WORDS: Mapping[int, str] = {
    401: "Unauthorized",
    403: "Not Authorized to perform this action!",
    409: "App is locked by one or more deployments.",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def _silent(_text: str, _level: str) -> None:
    """What goes wrong is in the answer."""


class Answering(Protocol):
    """What a program says: the leader's own answer, or what another instance gives instead."""

    def __call__(self, question: Question, instance: int) -> Answer:
        """The answer of one instance."""


class Instances:
    """`count` ports of one program, on loopback.

    Attributes:
        leader: the number of the one that leads, None during an election.
    """

    def __init__(
        self,
        program: str,
        *,
        count: int,
        timeline: Timeline,
        faults: Faults,
        answer: Answering,
        control: Callable[[Question], Answer],
        login: str | None = None,
        host: str = "127.0.0.1",
        ports: tuple[int, ...] | None = None,
        on_change: Callable[[], None] = lambda: None,
        on_new_leader: Callable[[], None] = lambda: None,
    ) -> None:
        self.program = program
        self.leader: int | None = 0
        self._timeline = timeline
        self._faults = faults
        self._answer = answer
        self._control = control
        self._guard = login_guard(login, "Mesosphere")
        self._host = host
        self._on_change = on_change
        self._on_new_leader = on_new_leader
        self._closed: set[int] = set()
        self._stopped = threading.Event()
        self._next = 0
        self._webs: list[Web] = []
        try:
            for number in range(count):
                self._webs.append(self._web(number, ports[number] if ports else 0))
        except Exception:
            self.stop()
            raise
        self.ports = tuple(web.port for web in self._webs)

    def _web(self, number: int, port: int) -> Web:
        return Web(
            self.program,
            self._host,
            port,
            lambda question: self._hear(question, number),
            _silent,
            server=f"clustermesos-simulator-of-{self.program}",
        )

    @property
    def addresses(self) -> tuple[str, ...]:
        """`host:port` of each."""
        return tuple(f"{self._host}:{port}" for port in self.ports)

    @property
    def leading(self) -> str | None:
        """`host:port` of the leader."""
        return None if self.leader is None else self.addresses[self.leader]

    def start(self) -> None:
        """Begin to answer."""
        for web in self._webs:
            web.start()

    def stop(self) -> None:
        """Answer no more."""
        self._stopped.set()
        for number, web in enumerate(self._webs):
            if number not in self._closed:
                web.stop()

    def change_leader(self, seconds: float = 0.0) -> None:
        """Let the leader give up; after an election of `seconds` the next instance leads."""
        if self.leader is not None:
            self._next = (self.leader + 1) % len(self._webs)
        self.leader = None
        if seconds:
            self._timeline.after(seconds, self._elect)
        else:
            self._elect()

    def _elect(self) -> None:
        if self.leader is None:
            open_ones = [
                number
                for number in (*range(self._next, len(self._webs)), *range(self._next))
                if number not in self._closed
            ]
            if open_ones:
                self.leader = open_ones[0]
                self._on_new_leader()

    def close(self, number: int, seconds: float | None) -> None:
        """Close an instance's port; another one leads, after `seconds` it is back."""
        if number in self._closed:
            return
        self._closed.add(number)
        self._webs[number].stop()
        if self.leader == number:
            self.change_leader()
        if seconds is not None:
            self._timeline.after(seconds, lambda: self.open(number))

    def open(self, number: int) -> None:
        """Open a closed port again."""
        if number not in self._closed or self._stopped.is_set():
            return
        self._webs[number] = self._web(number, self.ports[number])
        self._webs[number].start()
        self._closed.discard(number)
        if self.leader is None:
            self._elect()

    def open_all(self) -> None:
        """Open every closed port again."""
        for number in sorted(self._closed):
            self.open(number)

    def _hear(self, question: Question, number: int) -> Answer:
        if question.path == "/simulator" or question.path.startswith("/simulator/"):
            return self._control(question)
        # A connection that was kept open from before.
        if number in self._closed or self._stopped.is_set():
            return _GONE
        with self._timeline.lock:
            fault = self._faults.take(self.program, number, question, self._timeline.now())
        if fault is None:
            return self._own(question, number)
        return self._faulty(fault, question, number)

    def _own(self, question: Question, number: int) -> Answer:
        if (refused := self._guard(question)) is not None:
            return refused
        with self._timeline.lock:
            answer = self._answer(question, number)
        if question.method != "GET":
            self._on_change()
        return answer

    def _faulty(self, fault: Fault, question: Question, number: int) -> Answer:
        if fault.kind == "status":
            return self._status(fault)
        if fault.kind == "html":
            return Answer(fault.status or 200, str(fault.body or _PAGE), kind="text/html")
        if fault.kind == "no_answer":
            return _GONE
        if fault.kind == "slow":
            self._wait(fault.delay)
        if fault.kind == "leader_change":
            with self._timeline.lock:
                self.change_leader(fault.seconds or 0.0)
        answer = self._own(question, number)
        if fault.kind == "lost_answer":
            return _GONE
        if fault.kind == "half_answer":
            return replace(answer, cut=10)
        return answer

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self._stopped.wait(_PIECE):
            pass

    def _status(self, fault: Fault) -> Answer:
        status = fault.status or 503
        headers = {"WWW-Authenticate": 'Basic realm="Mesosphere"'} if status == 401 else {}
        body = fault.body
        if body is None:
            body = {"message": f"{_WORDS.get(status, 'injected')} (a fault of the simulator)"}
            if status == 409:
                body["deployments"] = [{"id": "00000000-0000-4000-8000-000000000000"}]
        return Answer(status, body, headers)
