"""The registry's replicated log, as far as who is there decides whether a leader may go on.

Each master is a replica, listed in `log_replicas` in ZooKeeper. It begins `empty` and keeps its status in its
work_dir. It is `voting` once a quorum of voting replicas is there, from whom it would copy. Where none ever
voted, Mesos initializes (`log_auto_initialize`) in two steps that each need all 2 * quorum - 1 replicas: from
empty to `starting` when all are empty or starting, and on to voting when all are starting or voting. A leader
may go on while a quorum votes. Source: Mesos `src/log/recover.cpp`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kazoo.exceptions import KazooException

from constructs_lib.simulator.double import Log, RefusedError, Stop
from constructs_lib.simulator.election import EVERYONE_READS, OPEN, Election, Group, Session, members
from constructs_lib.simulator.web import ask

_LOOKS = 0.5
STATUS_PATH = "/double/log"


@dataclass
class Replica:
    """This master's part of the log.

    Attributes:
        quorum: how many have to vote.
        quorum_votes: whether that many were there when it last looked.
    """

    folder: Path | None
    quorum: int
    log: Log
    initialize: bool = True
    quorum_votes: bool = False

    @property
    def status(self) -> str:
        """`empty`, `starting` or `voting`, now or in a former life with the same work_dir."""
        if self.folder is None:
            return "voting"
        return next((name for name in ("voting", "starting") if (self.folder / name).exists()), "empty")

    @property
    def voting(self) -> bool:
        """Whether it has recovered."""
        return self.status == "voting"

    def look(self, others: list[str]) -> None:
        """Judge by the status of each other replica that is there."""
        before = self.status
        everyone = [before, *others]
        enough = 2 * self.quorum - 1
        if before != "voting" and others.count("voting") >= self.quorum:
            self._become("voting", "copied from a quorum")
        elif self.initialize and before == "empty" and _count(everyone, "empty", "starting") >= enough:
            self._become("starting", "all replicas are new")
        elif before == "starting" and _count(everyone, "starting", "voting") >= enough:
            self._become("voting", "initialized with all others")
        self.quorum_votes = _count([self.status, *others], "voting") >= self.quorum

    def _become(self, status: str, why: str) -> None:
        assert self.folder is not None
        (self.folder / status).touch()
        self.log(f"Replica is {status}: {why}")


def _count(found: list[str], *wanted: str) -> int:
    return sum(status in wanted for status in found)


class LogReplicas:
    """Lists this replica in ZooKeeper and asks the others how they are."""

    def __init__(
        self, session: Session, replica: Replica, address: str, refused: Callable[[RefusedError], None]
    ) -> None:
        url = session.url
        acl = EVERYONE_READS if url.user is not None else OPEN
        self._group = Group(url.below("log_replicas"), "", acl)
        self._session = session
        self._replica = replica
        self._address = address
        self.election = Election(
            session,
            self._group,
            name="",
            data=f"log-replica(1)@{address}".encode(),
            on_change=lambda _data, _leading: None,
            on_refused=refused,
        )

    def run(self, stop: Stop) -> None:
        """Look until the program stops."""
        while not stop.wait(_LOOKS):
            if not self._session.connected:
                self._replica.quorum_votes = False
                continue
            try:
                addresses = self._addresses()
            except (KazooException, OSError):
                continue
            if self._address in addresses:
                asked = [_status_of(other) for other in addresses - {self._address}]
                self._replica.look([status for status in asked if status is not None])

    def _addresses(self) -> set[str]:
        found = set()
        for name in members(self._session, self._group):
            data, _ = self._session.client.get(f"{self._group.folder}/{name}")
            found.add(data.decode().partition("@")[2])
        return found


def _status_of(address: str) -> str | None:
    """The status of the replica there; None when it does not answer."""
    try:
        status, answer = ask(f"http://{address}{STATUS_PATH}", timeout=2)
    except OSError:
        return None
    return str(answer["status"]) if status == 200 else None
