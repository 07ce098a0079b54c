"""Tasks that are real HTTP servers on this machine, each at its agent's loopback address and its own ports.

They end as processes do: SIGTERM stops listening, at once or after a while, and what is still being answered
when the task ends is cut off.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import struct
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from constructs_lib.simulator.cluster.agents import Agent
from constructs_lib.simulator.cluster.world import Task, World
from constructs_lib.simulator.web import end_serving

_LONGEST_SLOW = 300.0
_CUT = struct.pack("ii", 1, 0)
"""SO_LINGER: closing resets the connection, as the end of a process does."""
_AGENTS_OF_A_NETWORK = 250


def on_loopback(agents: Sequence[Agent]) -> None:
    """Give agents addresses of 127.0.0.0/8, so that each has all of its ports to itself.

    Raises:
        OSError: this machine has only 127.0.0.1.
    """
    # Another process of this machine has another one.
    network = 1 + os.getpid() % 254
    for number, agent in enumerate(agents):
        low, high = number % _AGENTS_OF_A_NETWORK, number // _AGENTS_OF_A_NETWORK
        agent.hostname = f"127.{network}.{high}.{1 + low}"
    if agents:
        with socket.socket() as probe:
            probe.bind((agents[0].hostname, 0))


class TaskServers:
    """Starts and ends the servers of a world's tasks; a watcher of the world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._servers: dict[str, list[_Server]] = {}

    def watch(self, task: Task) -> None:
        """Follow what became of a task."""
        if task.framework != "marathon":
            return
        if task.state == "TASK_RUNNING" and task.id not in self._servers:
            self._start(task)
        elif task.state == "TASK_KILLING":
            after = min(task.profile.listens_seconds, task.grace)
            if after > 0:
                self._world.later(task, after, lambda: self._deafen(task))
            else:
                self._deafen(task)
        elif task.ended:
            for server in self._servers.pop(task.id, []):
                server.end()

    def stop(self) -> None:
        """End all."""
        for servers in self._servers.values():
            for server in servers:
                server.end()
        self._servers.clear()

    def _start(self, task: Task) -> None:
        started: list[_Server] = []
        self._servers[task.id] = started
        for port in task.ports:
            try:
                started.append(_Server((task.agent.hostname, port), task))
            except OSError as error:
                # Somebody else on this machine has it, as long as it runs: no task gets it again.
                why = f"bind {task.agent.hostname}:{port}: {error.strerror}"
                self._world.timeline.after(0, lambda port=port, why=why: self._unbound(task, port, why))  # type: ignore[misc]
                return
        for server in started:
            server.start()

    def _unbound(self, task: Task, port: int, why: str) -> None:
        self._world.exit(task, 1, why)
        task.agent.used_ports.add(port)

    def _deafen(self, task: Task) -> None:
        for server in self._servers.get(task.id, []):
            server.deafen()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], task: Task) -> None:
        self.task = task
        self.deaf = threading.Event()
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, _Handler)
        self._thread = threading.Thread(target=self.serve_forever, name=task.id, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        with self._guard:
            self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet about a client that went away."""

    def deafen(self) -> None:
        """Take no more connections; those that are open are answered to their end."""
        if not self.deaf.is_set():
            self.deaf.set()
            with contextlib.suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)
            end = threading.Thread(target=end_serving, args=(self, self._thread), daemon=True)
            end.start()

    def end(self) -> None:
        """Be gone, with every connection that is open."""
        self.deafen()
        with self._guard:
            open_ones = list(self._open)
        for connection in open_ones:
            with contextlib.suppress(OSError):
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _CUT)
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    server: _Server

    def version_string(self) -> str:
        return "clustermesos-simulator-of-a-task"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test counts requests itself."""

    def _echo(self, protocol: str) -> None:
        """Take an upgrade, such as a websocket's, and give every byte back until one side ends it."""
        self.close_connection = True
        self.send_response(101)
        self.send_header("Upgrade", protocol)
        self.send_header("Connection", "Upgrade")
        self.end_headers()
        # An upgraded connection may be silent for as long as it likes.
        self.connection.settimeout(None)
        with contextlib.suppress(OSError):
            while received := self.connection.recv(4096):
                self.connection.sendall(received)

    def _serve(self) -> None:
        if protocol := self.headers.get("Upgrade"):
            self._echo(protocol)
            return
        task, url = self.server.task, urlsplit(self.path)
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status = 200
        if url.path in _health_paths(task):
            # A result that a change of leader lost is no change of the task.
            status = 200 if task.healthy is True or (task.first_healthy_at and task.healthy is None) else 503
        elif url.path == "/slow":
            seconds = float(parse_qs(url.query).get("seconds", ["1"])[0])
            threading.Event().wait(min(seconds, _LONGEST_SLOW))
        elif url.path.startswith("/status/"):
            status = int(url.path.rpartition("/")[2])
        elif task.profile.error_rate and random.random() < task.profile.error_rate:  # noqa: S311
            status = 500
        said = {
            "simulator": True,
            "app": task.owner,
            "version": task.version,
            "task": task.id,
            "method": self.command,
            "path": self.path,
            "received": len(sent),
        }
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-App", task.owner)
        if self.server.deaf.is_set():
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _serve  # noqa: N815 — the library's names


def _health_paths(task: Task) -> set[str]:
    return {check["path"] for check in task.spec.get("healthChecks", []) if "path" in check}
