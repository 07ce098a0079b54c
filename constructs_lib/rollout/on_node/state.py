"""A node's generations, notes and lock, where clustermesos-apply keeps them."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Data = dict[str, Any]
BUSY = "another clustermesos-apply runs on this node; wait until it has ended"
GIVEN = "given"
"""What clustermesos-apply puts before a value of the secrets' source: {name: {value, replaces}}, where
`replaces` is the SHA-256 of that value, empty where the source has none."""
SIGNED, RESULT, LOG, CONFIRMED = "rollouts.json", "rollout.json", "rollout.log", "rollout.confirmed"


class RefusedError(Exception):
    """Said to the operator; nothing was changed."""


class Node:
    """The generations below `root`, which is / but in a test."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)
        self.state = self.at("/var/lib/clustermesos")

    def at(self, path: str) -> Path:
        """Where an absolute path of the node is."""
        return self.root / path.lstrip("/")

    def pointer(self, name: str) -> int | None:
        """The generation that the link `wanted` or `applied` names."""
        try:
            return int((self.state / name).readlink().name)
        except (OSError, ValueError):
            return None

    def folder(self, number: int | None) -> Path:
        """A generation's folder."""
        return self.state / "generations" / str(number)

    def read(self, path: Path, default: Any = None) -> Any:
        """JSON, `default` where there is none that can be read."""
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError):
            return default

    def note(self, name: str, data: Data) -> None:
        """Write a file of the state folder in one step, 0600."""
        fresh = self.state / f".{name}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.state / name)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """The lock of clustermesos-apply; RefusedError while it is held."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.state / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedError(BUSY) from None
            yield

    def busy(self) -> bool:
        """Whether clustermesos-apply runs."""
        if not (self.state / "lock").exists():
            return False
        try:
            with self.lock():
                return False
        except RefusedError:
            return True

    def placed(self, content: bytes) -> bytes:
        """As clustermesos-apply puts it in place: with this node's own name and address."""
        name, address = (b"@@node:" + what + b"@@" for what in (b"name", b"address"))
        if name not in content and address not in content:
            return content
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
            except OSError:
                return content
            mine = probe.getsockname()[0].encode()
        return content.replace(name, socket.gethostname().encode()).replace(address, mine)


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()
