"""Finding the leading Mesos master, and staying registered with it: for agents and frameworks."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any

from constructs_lib.simulator.double import Log, RefusedError, Stop
from constructs_lib.simulator.election import EVERYONE_READS, OPEN, Election, Group, Session
from constructs_lib.simulator.web import ask
from constructs_lib.simulator.zk_url import ZkUrl, parse_zk_url

_HEARTBEAT = 1.0


class LeadingMaster:
    """Where the leading master is, by `--master`: a `zk://` URL, or `host:port` of the only one.

    Raises:
        ValueError: the text is neither.
    """

    def __init__(self, text: str, log: Log, session_timeout: float = 10.0) -> None:
        self._log = log
        self._session: Session | None = None
        self._url: ZkUrl | None = None
        self.base: str | None = None
        self._timeout = session_timeout
        text = text.strip()
        if text.startswith("zk://"):
            self._url = parse_zk_url(text)
            return
        host, colon, port = text.removeprefix("http://").rpartition(":")
        if not colon or not host or not port.isdecimal():
            raise ValueError(f"Failed to parse '{text}': expected zk://host:port,…/path or host:port")
        self.base = f"http://{host}:{port}"

    def watch(self, stop: Stop, refused: Callable[[RefusedError], None]) -> None:
        """Follow the election from now on, in threads of its own.

        Like libmesos, it makes the group's folder if nobody has yet, with the ACL of its own login: without
        one, the folder is open to all.
        """
        if self._url is None:
            return
        self._session = Session(self._url, self._log, self._timeout)
        acl = EVERYONE_READS if self._url.user is not None else OPEN
        election = Election(
            self._session,
            Group(self._url.path, "json.info_", acl),
            name=None,
            on_change=self._changed,
            on_refused=refused,
        )
        self._session.start()
        threading.Thread(target=election.run, args=(stop,), daemon=True).start()

    def close(self) -> None:
        """End the session."""
        if self._session is not None:
            self._session.close()

    def _changed(self, data: bytes | None, _leading: bool) -> None:
        try:
            info = json.loads(data) if data else None
            address = info["address"] if info else None
            self.base = f"http://{address['ip']}:{address['port']}" if address else None
        except (ValueError, KeyError, TypeError):
            self._log("the leading master's entry in ZooKeeper is no MasterInfo in JSON", "E")
            self.base = None
        if self.base is not None:
            self._log(f"New master detected at {self.base.removeprefix('http://')}")


class Registration:
    """Registers at the leading master and stays so: one heartbeat a second, again after each failover.

    Attributes:
        id: the id that the master gave, or that was kept from before; None until then.
        registered: whether the last heartbeat was accepted.
    """

    def __init__(
        self,
        master: LeadingMaster,
        path: str,
        info: Mapping[str, Any],
        secret: str | None,
        log: Log,
        id: str | None = None,
    ) -> None:
        self.id = id
        self.registered = False
        self._master = master
        self._path = path
        self._info = info
        self._secret = secret
        self._log = log

    def run(self, stop: Stop, on_id: Callable[[str], None], on_refused: Callable[[int, str], None]) -> None:
        """Go on until `stop`; `on_id` hears of each registration, `on_refused` of status and text of a no."""
        while not stop.is_set():
            self._beat(on_id, on_refused)
            stop.wait(_HEARTBEAT)
        self.registered = False

    def _beat(self, on_id: Callable[[str], None], on_refused: Callable[[int, str], None]) -> None:
        base = self._master.base
        if base is None:
            self.registered = False
            return
        asked = {"id": self.id, "info": dict(self._info), "secret": self._secret}
        try:
            status, answer = ask(f"{base}{self._path}", "POST", asked)
        except OSError:
            self.registered = False
            return
        if status == 200:
            if not self.registered:
                known = self.id
                self.id = answer["id"]
                self._log(
                    f"{'Re-registered' if known else 'Registered'} with master {base[7:]}; id {self.id}"
                )
                on_id(answer["id"])
            self.registered = True
            return
        self.registered = False
        if status in (401, 403, 410):
            on_refused(status, str(answer))
