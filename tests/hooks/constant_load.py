"""A constant load on edges: GETs, POSTs and a websocket, each of them counted."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Sequence


class Load:
    """Threads that ask the edges in turn, each request on a connection of its own.

    `answers` counts by method and what came: the version, a status, or an error's name. A status that no edge
    answered, but a version, is `500 of VERSION`.
    """

    def __init__(self, edges: Sequence[int], host: str, *, websocket: bool = True) -> None:
        self.edges, self.host = list(edges), host
        self.answers: Counter[tuple[str, str]] = Counter()
        self.served: set[str] = set()
        """Versions that answered with 200."""
        self.broken = 0
        self.echoes = 0
        self.gaps: list[float] = []
        self._ends = threading.Event()
        works = [lambda: self._ask("GET")] * 4 + [lambda: self._ask("POST")] * 3
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]
        if websocket:
            self._threads.append(threading.Thread(target=self._websocket, daemon=True))

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def _ask(self, method: str) -> None:
        number, failing = 0, None
        while not self._ends.wait(0.02):
            number += 1
            said = self._once(method, self.edges[number % len(self.edges)])
            self.answers[method, said] += 1
            good = said in self.served
            if not good and failing is None:
                failing = time.monotonic()
            if good and failing is not None:
                self.gaps.append(time.monotonic() - failing)
                failing = None

    def _once(self, method: str, port: int) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            # Orders take so long that some are always on their way.
            path, body = ("/slow?seconds=0.2", b"order") if method == "POST" else ("/", None)
            connection.request(method, path, body, {"Host": self.host})
            answer = connection.getresponse()
            text = answer.read()
            if answer.status != 200:
                return str(answer.status) + (f" of {version_of(text)}" if answer.getheader("X-App") else "")
            version = version_of(text)
            self.served.add(version)
            return version
        except (OSError, http.client.HTTPException, ValueError) as error:
            return type(error).__name__
        finally:
            connection.close()

    def _websocket(self) -> None:
        """One connection that stays, with a word each 50 ms; opened anew when it breaks."""
        while not self._ends.is_set():
            try:
                with socket.create_connection(("127.0.0.1", self.edges[0]), timeout=30) as peer:
                    upgrade = "Upgrade: websocket\r\nConnection: Upgrade"
                    peer.sendall(f"GET /ws HTTP/1.1\r\nHost: {self.host}\r\n{upgrade}\r\n\r\n".encode())
                    if b" 101 " not in peer.recv(4096):
                        time.sleep(0.1)
                        continue
                    while not self._ends.wait(0.05):
                        peer.sendall(b"word")
                        if peer.recv(16) != b"word":
                            break
                        self.echoes += 1
                    else:
                        return
            except OSError:
                pass
            self.broken += 1

    @property
    def lost(self) -> Counter[tuple[str, str]]:
        """What was no answer of a version."""
        return Counter({key: number for key, number in self.answers.items() if key[1] not in self.served})


def version_of(said: bytes | str) -> str:
    """Of the simulated task that answered: the last part of its app's id."""
    return str(json.loads(said)["app"]).rpartition("/")[2]
