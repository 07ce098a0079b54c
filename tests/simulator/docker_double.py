"""Docker's API as far as Registrator asks it, on a socket: containers that a test starts and stops."""

from __future__ import annotations

import json
import queue
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any


class DockerDouble:
    """Answers `/containers/json`, `/containers/ID/json` and `/events`."""

    def __init__(self, socket: Path) -> None:
        self.address = f"unix://{socket}"
        self.running: dict[str, dict[str, Any]] = {}
        self._listeners: list[queue.Queue[dict[str, str] | None]] = []
        double = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.startswith("/events"):
                    return self.stream()
                if self.path == "/containers/json":
                    return self.send(200, [{"Id": id} for id in double.running])
                found = double.running.get(self.path.split("/")[2])
                return self.send(200 if found else 404, found)

            def send(self, status: int, body: object) -> None:
                content = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def stream(self) -> None:
                events: queue.Queue[dict[str, str] | None] = queue.Queue()
                double._listeners.append(events)
                self.send_response(200)
                self.end_headers()
                while (event := events.get()) is not None:
                    self.wfile.write(json.dumps(event).encode() + b"\n")

            def log_message(self, format: str, *args: object) -> None:
                pass

            def address_string(self) -> str:
                return "socket"

        class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
            daemon_threads = True

        self._server = Server(str(socket), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def start(self, id: str, **inspected: Any) -> None:
        self.running[id] = inspected
        self._tell({"status": "start", "id": id})

    def die(self, id: str) -> None:
        del self.running[id]
        self._tell({"status": "die", "id": id})

    def close_streams(self) -> None:
        """What happens when the daemon stops."""
        for events in self._listeners:
            events.put(None)

    def listened_to(self) -> bool:
        return bool(self._listeners)

    def _tell(self, event: dict[str, str]) -> None:
        for events in self._listeners:
            events.put(event)

    def stop(self) -> None:
        self.close_streams()
        self._server.shutdown()
        self._server.server_close()


def web(name: str, port: int | None, *environment: str, inside: str = "80/tcp") -> dict[str, Any]:
    """What `docker inspect` says of a container; `port` is the published one."""
    binding = [{"HostIp": "0.0.0.0", "HostPort": str(port)}] if port else None
    return {
        "Name": f"/{name}",
        "Config": {"Image": "registry:5000/lab/web:1", "Env": list(environment), "Labels": {}},
        "NetworkSettings": {"Ports": {inside: binding}},
        "State": {"Running": True},
    }
