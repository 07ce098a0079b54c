"""One process at a time: a key that a session of Consul holds, and that is free once the session has ended.

The session outlives the connections of its process, so that a process which opens them anew for each round
keeps what it has. Whoever is gone without a word loses it after `seconds`, or twice that, as Consul promises.
Source: developer.hashicorp.com/consul, "Session HTTP API": 10 to 86400 seconds.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from consul.exceptions import ConsulException, NotFound

from constructs_lib.access.person import person
from constructs_lib.contracts.compiled import KV_PREFIX
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.consul import Consul

LEASES: Final = f"{KV_PREFIX}leases/"
_FEWEST, _MOST = 10.0, 86400.0


class Lease:
    """The lease `name` of a platform, for this process."""

    def __init__(self, name: str, *, seconds: float, who: str | None = None) -> None:
        self._key = f"{LEASES}{name}"
        self._name = name
        self._seconds = int(min(max(seconds, _FEWEST), _MOST))
        self.who = who or f"{person()}@{socket.gethostname()}, process {os.getpid()}"
        self._session: str | None = None

    def take(self, consul: Consul) -> str | None:
        """Take it, or go on having it; who has it instead, None where this process does. ApiError."""
        if self._session is not None and not self._renewed(consul):
            self._session = None
        if self._session is None:
            named = f"clustermesos {self._name}"
            # No delay: what is written while it is held is right whoever writes it.
            self._session = str(consul.session.create(named, lock_delay=0, ttl=self._seconds))
        if consul.kv.put(self._key, json.dumps({"who": self.who}), acquire=self._session):
            return None
        holder = _holder(consul, self._key)
        self.release(consul)
        return holder

    @contextmanager
    def kept(self, another: Consul) -> Iterator[None]:
        """Renew it in the background, by a client that nobody else uses, however long the context lasts."""
        ended = threading.Event()

        def renew() -> None:
            while not ended.wait(self._seconds / 3):
                with suppress(ApiError):
                    self._renewed(another)

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=10)

    def release(self, consul: Consul) -> None:
        """Let somebody else have it at once; ApiError."""
        if self._session is not None:
            session, self._session = self._session, None
            consul.kv.put(self._key, json.dumps({"who": self.who}), release=session)
            consul.session.destroy(session)

    def _renewed(self, consul: Consul) -> bool:
        try:
            return consul.session.renew(self._session) is not None
        except NotFound:
            return False
        except ConsulException as error:
            raise ApiError("failed", "Consul: renewing a session", str(error)) from None


def _holder(consul: Consul, key: str) -> str:
    _, entry = consul.kv.get(key, consistency="consistent")
    found: Any = None
    with suppress(ValueError, TypeError, AttributeError):
        found = json.loads((entry or {}).get("Value") or b"{}").get("who")
    return str(found or "somebody who just let go of it")
