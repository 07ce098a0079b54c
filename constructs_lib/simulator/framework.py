"""What the doubles of Marathon and Chronos share: the leader latch, the place for state, and Mesos.

The leading instance registers as a framework, with the id that its predecessor left in ZooKeeper; the others
forward every request to it.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kazoo.exceptions import KazooException, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.security import ACL

from constructs_lib.simulator.double import Log, RefusedError, Stop
from constructs_lib.simulator.election import Election, Group, Session
from constructs_lib.simulator.leading_master import LeadingMaster, Registration
from constructs_lib.simulator.web import Answer, Question, forward
from constructs_lib.simulator.zk_url import ZkUrl

_NOT_FORWARDED = frozenset({"host", "connection", "content-length", "accept-encoding"})
_HOPS = "x-double-forwarded"


@dataclass(frozen=True)
class Layout:
    """Where a framework works in ZooKeeper and with which ACL."""

    url: ZkUrl
    latch: str
    state: str
    acl: Sequence[ACL]


class Store:
    """Small JSON documents below one path; what a leader writes, the next one reads."""

    def __init__(self, session: Session, layout: Layout) -> None:
        self._session = session
        self._layout = layout

    def read(self, name: str) -> Any:
        """The document, or None; OSError while ZooKeeper is away."""
        try:
            data, _ = self._session.client.get(f"{self._layout.state}/{name}")
        except NoNodeError:
            return None
        except (KazooException, KazooTimeoutError) as error:
            raise OSError(f"ZooKeeper: {type(error).__name__}") from None
        return json.loads(data)

    def write(self, name: str, document: object) -> None:
        """Keep the document; OSError while ZooKeeper is away."""
        data, path = json.dumps(document).encode(), f"{self._layout.state}/{name}"
        try:
            self._session.make_folder(self._layout.state, self._layout.acl)
            try:
                self._session.client.set(path, data)
            except NoNodeError:
                self._session.client.create(path, data, acl=list(self._layout.acl))
        except (KazooException, KazooTimeoutError) as error:
            raise OSError(f"ZooKeeper: {type(error).__name__}") from None


class Framework:
    """One instance of a framework.

    Attributes:
        leader: `host:port` of the leading instance, as far as is known.
        leading: whether it is this one.
        store: its state in ZooKeeper.
        registration: its registration with Mesos while it leads.
    """

    def __init__(
        self, me: str, layout: Layout, master: LeadingMaster, info: dict[str, Any], log: Log, stop: Stop
    ) -> None:
        self.me = me
        self.leader: str | None = None
        self.leading = False
        self.session = Session(layout.url, log)
        self.store = Store(self.session, layout)
        self.registration: Registration | None = None
        self.refusal: RefusedError | None = None
        self._layout = layout
        self._master = master
        self._info = info
        self._log = log
        self._stop = stop

    def refuse(self, refusal: RefusedError) -> None:
        """End the program."""
        self.refusal = self.refusal or refusal
        self._stop.now(refusal.code)

    def start(
        self,
        secret: Callable[[], str | None],
        on_defeat: Callable[[], None],
        on_no: Callable[[int, str], None],
    ) -> None:
        """Take part in the election; returns at once.

        Args:
            secret: gives the secret for Mesos once it leads; a RefusedError from it ends the program.
            on_defeat: called when it leads no longer.
            on_no: called when Mesos says no.
        """

        def changed(data: bytes | None, leading: bool) -> None:
            self.leader = data.decode(errors="replace") if data else None
            if leading and not self.leading:
                self.leading = True
                self._log(f"Leader won: {self.me}")
                threading.Thread(target=self._lead, args=(secret, on_no), daemon=True).start()
            elif self.leading and not leading:
                self.leading = False
                self._log("Lost leadership", "W")
                on_defeat()
            elif self.leader:
                self._log(f"Leader defeated. Current leader: {self.leader}")

        election = Election(
            self.session,
            Group(self._layout.latch, "-latch-", self._layout.acl),
            name=f"_c_{uuid.uuid4()}-latch-",
            data=self.me.encode(),
            on_change=changed,
            on_refused=self.refuse,
        )
        self.session.start()
        self._master.watch(self._stop, self.refuse)
        threading.Thread(target=election.run, args=(self._stop,), daemon=True).start()

    def _lead(self, secret: Callable[[], str | None], on_no: Callable[[int, str], None]) -> None:
        try:
            known = self.store.read("framework-id")
            word = secret()
        except RefusedError as refusal:
            return self.refuse(refusal)
        except OSError as error:
            return self.refuse(RefusedError(f"Failed to load the framework id: {error}"))
        registration = Registration(self._master, "/double/framework", self._info, word, self._log, known)
        self.registration = registration

        def keep(id: str) -> None:
            if id != known:
                self.store.write("framework-id", id)

        registration.run(_While(self._stop, lambda: self.leading), keep, on_no)
        self.registration = None

    def framework_id(self) -> str | None:
        """The id at Mesos, while this instance leads and is registered."""
        registration = self.registration
        return registration.id if registration is not None and registration.registered else None

    def close(self) -> None:
        """End its sessions."""
        self._master.close()
        self.session.close()

    def to_leader(self, question: Question, nobody: str) -> Answer | None:
        """What the leading instance answers; None when it is this one, 503 with `nobody` without one."""
        if self.leading:
            return None
        if self.leader is None:
            return Answer(503, nobody)
        if question.headers.get(_HOPS):
            return Answer(502, "Detected proxying loop")
        headers = {name: value for name, value in question.headers.items() if name not in _NOT_FORWARDED}
        try:
            return forward(f"http://{self.leader}{question.raw}", question, {**headers, _HOPS: self.me})
        except OSError as error:
            return Answer(502, f"Failed to proxy to the leader {self.leader}: {error}")


class _While(Stop):
    """Stops with the program, or when this instance leads no longer."""

    def __init__(self, stop: Stop, leading: Callable[[], bool]) -> None:
        super().__init__()
        self._stop = stop
        self._leading = leading

    def is_set(self) -> bool:
        return self._stop.is_set() or not self._leading()

    def wait(self, seconds: float | None = None) -> bool:
        return self._stop.wait(seconds) or not self._leading()


def secret_in(path: str | None, code: int) -> str | None:
    """The whole content of a secret file, a newline at its end included, as the real ones take it.

    Raises:
        RefusedError: it can't be read.
    """
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise RefusedError(f"Error reading authentication secret from file [{path}]: {why}", code) from None
