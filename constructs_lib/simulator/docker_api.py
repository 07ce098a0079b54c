"""The few calls of Docker's API that Registrator makes, over its socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote


class DockerError(Exception):
    """Docker can't be reached, or said no."""


class Docker:
    """A Docker daemon behind `unix:///path` or `tcp://host:port`.

    Raises:
        ValueError: the address is neither.
    """

    def __init__(self, address: str) -> None:
        scheme, _, self._place = address.partition("://")
        if scheme not in ("unix", "tcp", "http") or not self._place:
            raise ValueError(f"invalid endpoint '{address}': expected unix:///path or tcp://host:port")
        self._unix = scheme == "unix"

    def containers(self) -> list[dict[str, Any]]:
        """The running containers, as `docker ps` has them; DockerError when Docker does not answer."""
        found: list[dict[str, Any]] = self._get("/containers/json")
        return found

    def inspect(self, id: str) -> dict[str, Any] | None:
        """One container, or None when there is none of that id; DockerError when Docker does not answer."""
        found: dict[str, Any] | None = self._get(f"/containers/{quote(id)}/json", missing=True)
        return found

    def events(self) -> Iterator[Mapping[str, Any]]:
        """What happens to containers, until Docker ends the stream; DockerError when it can't be had."""
        connection = self._connect(None)
        try:
            connection.request("GET", "/events?filters=" + quote('{"type":["container"]}'))
            response = connection.getresponse()
            if response.status != 200:
                raise DockerError(f"/events: status {response.status}")
            while line := response.readline():
                yield json.loads(line)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DockerError(f"/events: {error}") from None
        finally:
            connection.close()

    def _get(self, path: str, *, missing: bool = False) -> Any:
        connection = self._connect(10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
            if missing and response.status == 404:
                return None
            if response.status != 200:
                raise DockerError(f"{path}: status {response.status}")
            return json.loads(body)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise DockerError(f"Cannot connect to the Docker daemon at {self._place}: {error}") from None
        finally:
            connection.close()

    def _connect(self, timeout: float | None) -> http.client.HTTPConnection:
        if self._unix:
            return _OverSocket(self._place, timeout)
        return http.client.HTTPConnection(self._place, timeout=timeout)


class _OverSocket(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float | None) -> None:
        super().__init__("docker", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
