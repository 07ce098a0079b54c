"""requests over Unix sockets: the other ends of what `access.forward` opens."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool
from urllib3.exceptions import NewConnectionError


class UnixAdapter(HTTPAdapter):
    """Sends requests for a `host:port` that `sockets` has through its socket, and all others as usual."""

    def __init__(self, sockets: Mapping[str, Path]) -> None:
        self._sockets = sockets
        self._pools: dict[str, HTTPConnectionPool] = {}
        super().__init__()

    def get_connection_with_tls_context(
        self, request: PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """requests' place for another transport."""
        where = urlsplit(request.url or "").netloc
        if where not in self._sockets:
            return super().get_connection_with_tls_context(request, verify, proxies, cert)
        if where not in self._pools:
            self._pools[where] = _Pool(where, self._sockets[where])
        return self._pools[where]

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            pool.close()
        super().close()


class _Pool(HTTPConnectionPool):
    def __init__(self, where: str, path: Path) -> None:
        host, _, port = where.rpartition(":")
        super().__init__(host, int(port))
        self._path = path

    def _new_conn(self) -> Any:
        return _Connection(self.host, self.port or 80, self._path)


class _Connection(HTTPConnection):
    def __init__(self, host: str, port: int, path: Path) -> None:
        super().__init__(host, port)
        self._path = path

    def connect(self) -> None:
        """Open the socket; a forward whose far end is closed hangs up at the first byte."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(self.timeout if isinstance(self.timeout, int | float) else None)
        try:
            connection.connect(str(self._path))
        except OSError as error:
            connection.close()
            raise NewConnectionError(self, f"Connection refused: {error.strerror}") from None
        self.sock = connection
