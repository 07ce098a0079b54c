"""The simulator's tasks as real HTTP servers on this machine, told to Consul as Registrator would.

A task that is killed drops its connections at once, without a word: what is lost by killing too early shows.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from constructs_lib.simulator.cluster.cluster import SimulatedCluster
from constructs_lib.simulator.cluster.world import Task
from tests.hooks.consul_server import ConsulServer

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Handler(BaseHTTPRequestHandler):
    """Says its version; echoes a POST; a websocket stays and echoes what it gets."""

    protocol_version = "HTTP/1.1"
    task: ServedTask

    def do_GET(self) -> None:
        if self.headers.get("Upgrade") == "websocket":
            self.close_connection = True
            self.wfile.write(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
            )
            while told := self.connection.recv(4096):
                self.connection.sendall(told)
            return
        time.sleep(0.005)
        self.answer(self.task.version)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        # Long enough that some order is always on its way.
        time.sleep(0.2)
        self.answer(self.task.version)

    def answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: Any) -> None:
        pass


class ServedTask(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, task: Task) -> None:
        self.version = task.owner.rpartition("/")[2]
        self.where = (task.agent.hostname, task.ports[0])
        self.id = f"{task.agent.hostname}:mesos-{task.id}:8080"
        self.connections: set[socket.socket] = set()
        super().__init__(self.where, type("Handler", (Handler,), {"task": self}))
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that the other side closed."""

    def die(self) -> None:
        self.socket.close()
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.shutdown()
        self.server_close()


class Served:
    """A server for each task of a simulated cluster that runs, an entry in Consul once it is healthy."""

    def __init__(self, cluster: SimulatedCluster, consul: ConsulServer, service: str) -> None:
        self.cluster, self.consul, self.service = cluster, consul, service
        self.servers: dict[str, ServedTask] = {}
        self.told: set[str] = set()
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Served:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()
        for task in list(self.servers):
            self._end(task)

    def _follow(self) -> None:
        while not self._ends.wait(0.02):
            tasks = {task.id: task for task in self.cluster.tasks() if task.state == "TASK_RUNNING"}
            for id in [id for id in self.servers if id not in tasks]:
                self._end(id)
            for id, task in tasks.items():
                if id not in self.servers:
                    self.servers[id] = ServedTask(task)
                if task.healthy and id not in self.told:
                    self._tell(self.servers[id])
                    self.told.add(id)

    def _end(self, id: str) -> None:
        server = self.servers.pop(id)
        server.die()
        # As Registrator: after the container is gone.
        if id in self.told:
            self._ask(f"agent/service/deregister/{server.id}", None)

    def _tell(self, server: ServedTask) -> None:
        host, port = server.where
        check = {"TTL": "10m", "Status": "passing"}
        tags = [f"version={server.version}"]
        body = {
            "ID": server.id,
            "Name": self.service,
            "Address": host,
            "Port": port,
            "Tags": tags,
            "Check": check,
        }
        self._ask("agent/service/register", body)

    def _ask(self, path: str, body: object) -> None:
        content = json.dumps(body).encode() if body else b""
        request = urllib.request.Request(f"{self.consul.url}/v1/{path}", content, method="PUT")
        request.add_header("X-Consul-Token", self.consul.token)
        with OPENER.open(request, timeout=10):
            pass
