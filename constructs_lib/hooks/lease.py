"""One process at a time: a key that a session of Consul holds, and that is free once the session has ended.

The session outlives the connections of its process, so that a process which opens them anew for each round
keeps what it has, and the Consul server that made it. Whoever is gone without a word loses it after
`seconds`, or twice that, as Consul promises.
Source: developer.hashicorp.com/consul, "Session HTTP API": 10 to 86400 seconds.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal

from consul.exceptions import ConsulException, NotFound

from constructs_lib.access.person import person
from constructs_lib.contracts.compiled import KV_PREFIX
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.consul import Consul

LEASES: Final = f"{KV_PREFIX}leases/"
_FEWEST, _MOST = 10.0, 86400.0


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who has a lease, or had it."""

    who: str
    since: str
    """Such as `2026-11-28 03:10 UTC`."""
    has: bool
    """False of one that let go of it, or is gone without a word."""
    about: tuple[str, ...] = ()
    """What it wrote besides, see Lease."""

    @classmethod
    def of(cls, entry: Mapping[str, Any] | None) -> Holder:
        """By what Consul has under the lease's key."""
        entry, found = entry or {}, {}
        with suppress(ValueError, TypeError):
            found = json.loads(entry.get("Value") or b"{}")
        found = found if isinstance(found, dict) else {}
        who, since = (str(found.get(key) or "") for key in ("who", "since"))
        who = who or "somebody who just let go of it"
        about = found.get("about")
        return cls(
            who=who,
            since=since or "some time",
            has=bool(entry.get("Session")),
            about=tuple(map(str, about)) if isinstance(about, list) else (),
        )


class Lease:
    """The lease `name` of a platform, for this process."""

    def __init__(
        self,
        name: str,
        *,
        seconds: float,
        who: str | None = None,
        afterwards: Literal["release", "delete"] = "release",
    ) -> None:
        """`afterwards` is what becomes of its key in Consul: who had it last stays there, or nothing."""
        self.key = f"{LEASES}{name}"
        self._name = name
        self._seconds = int(min(max(seconds, _FEWEST), _MOST))
        self._afterwards: Literal["release", "delete"] = afterwards
        self.who = who or f"{person()}@{socket.gethostname()}, process {os.getpid()}"
        self.about: tuple[str, ...] = ()
        """Written beside who it is, when it is taken and when it is released."""
        self._since = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        self._session: str | None = None
        self._ended = False
        self._renewed_at = 0.0
        self._let_go = False
        # The thread that renews it may be about to take it again.
        self._turn = threading.RLock()

    @property
    def lost(self) -> bool:
        """Whether somebody else may have had it since: its session ended while it was `kept`, or may have.

        Of a computer that slept nobody knows better than its clock, until the next renewal.
        """
        return self._ended or abs(time.time() - self._renewed_at) > self._seconds

    def take(self, consul: Consul) -> str | None:
        """Take it, or go on having it; who has it instead, None where this process does. ApiError."""
        self._let_go = False
        if self._session is not None and not self._renewed(consul):
            self._session = None
        if self._session is None:
            named = f"clustermesos {self._name}"
            # No delay: what is written while it is held is right whoever writes it. No check: by default it
            # would end with the health of the server that is asked, whatever becomes of this process.
            self._renewed_at = time.time()
            made = consul.session.create(
                named, checks=[], lock_delay=0, ttl=self._seconds, behavior=self._afterwards
            )
            self._session = str(made)
            # A session alone holds nothing, should the next request fail.
            self._ended = True
        if consul.kv.put(self.key, self._value, acquire=self._session):
            self._ended = False
            return None
        holder = Holder.of(consul.kv.get(self.key, consistency="consistent")[1]).who
        self.release(consul)
        return holder

    @property
    def _value(self) -> str:
        about = {"about": self.about} if self.about else {}
        return json.dumps({"who": self.who, "since": self._since, **about})

    def again(self, consul: Consul) -> bool:
        """Go on having it, also where its session ended; False where somebody else may have had it since.

        Of a key that goes with its session nobody knows that: it is enough that nobody has it. ApiError.
        """
        with self._turn:
            if self._let_go:
                return False
            if self._session is not None and not self._renewed(consul):
                self._session = None
            if self._session is not None and not self._ended:
                return True
            _, entry = consul.kv.get(self.key, consistency="consistent")
            mine = self._is_mine(entry) if entry else self._afterwards == "delete"
            return mine and self.take(consul) is None

    @contextmanager
    def kept(self, another: Consul, *, again: bool = False) -> Iterator[None]:
        """Renew it in the background, by a client that nobody else uses, however long the context lasts.

        With `again` it is taken again where its session ended, as `again` does.
        """
        ended = threading.Event()
        renewed = self.again if again else self._renewed

        def renew() -> None:
            while not ended.wait(self._seconds / 3):
                with suppress(ApiError):
                    if not renewed(another):
                        self._ended = True

        thread = threading.Thread(target=renew, name="lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join(timeout=10)

    def release(self, consul: Consul) -> None:
        """Let somebody else have it at once; ApiError."""
        with self._turn:
            self._let_go = True
            if self._session is not None:
                session, self._session = self._session, None
                if self._afterwards == "release":
                    consul.kv.put(self.key, self._value, release=session)
                consul.session.destroy(session)

    def erase(self, consul: Consul) -> None:
        """As `release`, and nothing says any longer that this process had it; ApiError."""
        with self._turn:
            self._let_go = True
            _, entry = consul.kv.get(self.key, consistency="consistent")
            if entry and self._is_mine(entry):
                consul.kv.delete(self.key, cas=entry["ModifyIndex"])
            if self._session is not None:
                session, self._session = self._session, None
                consul.session.destroy(session)

    def _is_mine(self, entry: Mapping[str, Any]) -> bool:
        """Also where the session ended and nobody took it since."""
        session = entry.get("Session")
        if session is None:
            return bool(entry.get("Value") == self._value.encode())
        return bool(session == self._session)

    def _renewed(self, consul: Consul) -> bool:
        asked = time.time()
        try:
            renewed = consul.session.renew(self._session) is not None
            self._renewed_at = asked if renewed else self._renewed_at
            return renewed
        except NotFound:
            return False
        except ConsulException as error:
            raise ApiError("failed", "Consul: renewing a session", str(error)) from None
