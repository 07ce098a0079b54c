"""Leader election in ZooKeeper, by the znodes that the real programs make.

* Mesos: `/mesos/json.info_0000000007` with MasterInfo as JSON; its creator may do all, everybody reads.
* Marathon: `/marathon/leader-curator/_c_UUID-latch-0000000007` with `host:port`; its creator alone.
* Chronos: `/chronos/candidate/_c_UUID-latch-0000000007` with `host:port`; open, as is Curator's default.

Without authentication every one is open to all. The lowest number leads. Sources: Mesos
`src/zookeeper/group.cpp` and `src/master/contender/zookeeper.cpp`, Curator's `LeaderLatch`, Marathon's
`ZookeeperConf.zkDefaultCreationACL`, Chronos' `ZookeeperModule`.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException, NoAuthError, NodeExistsError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState
from kazoo.security import ACL, CREATOR_ALL_ACL, OPEN_ACL_UNSAFE, READ_ACL_UNSAFE

from constructs_lib.simulator.double import Log, RefusedError, Stop
from constructs_lib.simulator.zk_url import ZkUrl

EVERYONE_READS: list[ACL] = [*CREATOR_ALL_ACL, *READ_ACL_UNSAFE]
CREATOR_ONLY: list[ACL] = list(CREATOR_ALL_ACL)
OPEN: list[ACL] = list(OPEN_ACL_UNSAFE)

_LOOK_AGAIN = 1.0
_LONGEST_CLOSE = 5.0


class Session:
    """One session with an ensemble, kept for as long as the program runs; it reconnects by itself.

    `timeout` is the session's, in seconds: after it ZooKeeper gives up a program that it can't hear.
    """

    def __init__(self, url: ZkUrl, log: Log, timeout: float = 10.0) -> None:
        logging.getLogger("kazoo").setLevel(logging.CRITICAL)
        self.url = url
        self._log = log
        login = [("digest", f"{url.user}:{url.password}")] if url.user is not None else None
        # Mesos and Curator never give up, and a program that starts before its ensemble waits for it.
        retry = {"max_tries": -1, "delay": 0.2, "max_delay": 2.0}
        self.client = KazooClient(
            hosts=url.servers, timeout=timeout, auth_data=login, connection_retry=retry, command_retry=None
        )
        self.client.add_listener(self._tell)

    def _tell(self, state: str) -> None:
        level = "I" if state == KazooState.CONNECTED else "W"
        self._log(f"ZooKeeper at {self.url.servers}: {state}", level)

    def on_lost(self, call: Callable[[], None]) -> None:
        """Call this whenever ZooKeeper gave the session up, and with it what the program had there."""

        def listen(state: str) -> None:
            if state == KazooState.LOST:
                call()

        self.client.add_listener(listen)

    def start(self) -> None:
        """Begin to connect; returns at once."""
        self.client.start_async()

    def close(self) -> None:
        """End the session, so that its ephemeral znodes vanish now; waits 5 seconds at most."""
        ending = threading.Thread(target=self._close, daemon=True)
        ending.start()
        ending.join(_LONGEST_CLOSE)
        if ending.is_alive():
            self._log("the session with ZooKeeper could not be closed; it will time out", "W")

    def _close(self) -> None:
        with contextlib.suppress(KazooException, KazooTimeoutError, OSError):
            self.client.stop()
            self.client.close()

    @property
    def connected(self) -> bool:
        """Whether it is connected right now."""
        return bool(self.client.connected)

    def make_folder(self, path: str, acl: Sequence[ACL]) -> None:
        """Make `path` and what is missing above it, each with `acl`."""
        done = ""
        for name in path.strip("/").split("/"):
            done = f"{done}/{name}"
            try:
                if not self.client.exists(done):
                    self.client.create(done, b"", acl=list(acl))
            except NodeExistsError:
                continue


@dataclass(frozen=True)
class Group:
    """The candidates below `folder`: those whose name holds `mark`; `acl` is for what a candidate makes."""

    folder: str
    mark: str
    acl: Sequence[ACL]


def members(session: Session, group: Group, watch: Callable[[object], None] | None = None) -> list[str]:
    """The names of the candidates, the leader first; empty while the folder is missing."""
    try:
        names = session.client.get_children(group.folder, watch=watch)
    except NoNodeError:
        return []
    return sorted((name for name in names if group.mark in name), key=lambda name: int(name[-10:]))


class Election:
    """Takes part in a group, or only watches it, and keeps who leads.

    Args:
        session: its session.
        group: where.
        name: the znode's name without its number, such as `json.info_`; None only watches, and makes the
            folder if nobody has.
        data: what the znode holds.
        on_change: called with the leader's data, or None while nobody is known to lead, and with whether it
            is this candidate.
        on_refused: called once if ZooKeeper does not let it in.
    """

    def __init__(
        self,
        session: Session,
        group: Group,
        *,
        name: str | None,
        data: bytes = b"",
        on_change: Callable[[bytes | None, bool], None],
        on_refused: Callable[[RefusedError], None],
    ) -> None:
        self._session = session
        self._group = group
        self._name = name
        self._data = data
        self._on_change = on_change
        self._on_refused = on_refused
        self._mine: str | None = None
        self._last: tuple[bytes | None, bool] | None = None
        self._look = threading.Event()
        session.client.add_listener(self._state_changed)

    def run(self, stop: Stop) -> None:
        """Take part until the program stops; runs in a thread of its own."""
        while not stop.is_set():
            self._look.clear()
            self._once()
            self._look.wait(_LOOK_AGAIN)

    def _state_changed(self, state: str) -> None:
        if state == KazooState.LOST:
            self._mine = None
        self._look.set()

    def _once(self) -> None:
        if not self._session.connected:
            return self._tell(None, leading=False)
        try:
            self._join()
            names = members(self._session, self._group, lambda _event: self._look.set())
            if not names:
                return self._tell(None, leading=False)
            data, stat = self._session.client.get(f"{self._group.folder}/{names[0]}")
            # By its session and not by its name: a create whose answer got lost made a candidate as well.
            self._tell(data, leading=stat.ephemeralOwner == self._session.client.client_id[0])
        except NoAuthError:
            user = self._session.url.user or "nobody (no user in the URL)"
            self._on_refused(
                RefusedError(
                    f"ZooKeeper refused {self._group.folder} (NoAuth): it, or what is above it, was made by "
                    f"another login than {user}, or with another password"
                )
            )
        except (KazooException, KazooTimeoutError, OSError):
            self._tell(None, leading=False)

    def _join(self) -> None:
        client, folder = self._session.client, self._group.folder
        if self._name is None:
            return self._session.make_folder(folder, self._group.acl)
        if self._mine is not None and client.exists(f"{folder}/{self._mine}"):
            return
        self._session.make_folder(folder, self._group.acl)
        path = client.create(
            f"{folder}/{self._name}", self._data, acl=list(self._group.acl), ephemeral=True, sequence=True
        )
        self._mine = path.rsplit("/", 1)[1]

    def _tell(self, leader: bytes | None, *, leading: bool) -> None:
        if self._last != (leader, leading):
            self._last = (leader, leading)
            self._on_change(leader, leading)
