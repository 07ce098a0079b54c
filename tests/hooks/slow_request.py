"""One request that an application takes long to answer, on its way through an edge."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from pathlib import Path

from constructs_lib.simulator.cluster.cluster import SimulatedCluster

_ENOUGH = 30.0


class SlowRequest:
    """A POST, which no edge repeats, from when an instance has it; `came` is a status or an error's name."""

    def __init__(self, cluster: SimulatedCluster, edge: int, host: str, seconds: float) -> None:
        self.cluster, self.edge, self.host, self.seconds = cluster, edge, host, seconds
        self.came: int | str | None = None
        self._thread = threading.Thread(target=self._ask, daemon=True)

    def __enter__(self) -> SlowRequest:
        self._thread.start()
        ends = time.monotonic() + _ENOUGH
        while not self._arrived():
            assert time.monotonic() < ends, f"no instance has it, and what came is {self.came}"
            time.sleep(0.02)
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(self.seconds + _ENOUGH)

    def _ask(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.edge, timeout=self.seconds + _ENOUGH)
        try:
            connection.request("POST", f"/slow?seconds={self.seconds}", b"order", {"Host": self.host})
            answer = connection.getresponse()
            answer.read()
            self.came = answer.status
        except (OSError, http.client.HTTPException) as error:
            self.came = type(error).__name__
        finally:
            connection.close()

    def _arrived(self) -> bool:
        """Whether an instance has a connection: nobody else opens one."""
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        served = {row[1] for row in rows if row[3] == "01"}
        return any(
            _as_kernel(task.agent.hostname, port) in served
            for task in self.cluster.tasks()
            for port in task.ports
        )


def _as_kernel(address: str, port: int) -> str:
    return f"{socket.inet_aton(address)[::-1].hex().upper()}:{port:04X}"
