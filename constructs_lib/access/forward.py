"""Ports of private nodes as sockets on this machine, through the gateway by the user's own `ssh`.

The sockets are Unix sockets in a folder that only this user can enter: a port on loopback would give
everybody on this machine what the gateway gives the operator alone. Each ssh ends with its standard input, so
that a forward never outlives the process that wanted it, however that ends. One that ends before, as it does
where the network is gone for a quarter of a minute, is started again at the same sockets.
"""

from __future__ import annotations

import select
import shutil
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event, Lock, Thread
from typing import IO, cast

from constructs_lib.access.ssh import Ssh, end, trouble_of
from constructs_lib.errors import ToolError

READY_SECONDS = 45.0
_READY = b"clustermesos-forwards"
_WAITING = (f"echo {_READY.decode()}; exec cat >/dev/null",)
"""Said once the forwards are there, since ssh starts the command after them."""
_OPTIONS = (
    "-o",
    "ClearAllForwardings=no",
    "-o",
    "ExitOnForwardFailure=yes",
    "-o",
    "StreamLocalBindMask=0177",
    "-o",
    "StreamLocalBindUnlink=yes",
)
_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Before an ssh that ended is started again: doubled, up to the second, until one has lasted so long."""


@dataclass(frozen=True)
class Port:
    """A port of `address`, as the machine `login` (a name of the SSH configuration) reaches it."""

    login: str
    address: str
    number: int


@dataclass(frozen=True)
class Forwards:
    """What is open: the socket of each port, and in `lost` why there is none behind a login."""

    sockets: Mapping[Port, Path]
    lost: Mapping[str, str]


@contextmanager
def forwarded(ssh: Ssh, ports: Sequence[Port], *, ready: float = READY_SECONDS) -> Iterator[Forwards]:
    """Open them while the context lasts, by one ssh for all ports behind one login.

    A machine that is down takes only its own ports away. ToolError only when there is no ssh program.
    """
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="cm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        sockets = {port: folder / str(number) for number, port in enumerate(dict.fromkeys(ports))}
        roads: dict[str, _Road] = {}
        for login in dict.fromkeys(port.login for port in sockets):
            roads[login] = _Road(partial(ssh.start, login, _WAITING, options=_options(login, sockets)))
            stack.callback(roads[login].close)
        until = time.monotonic() + ready
        waited = {login: road.wait(until - time.monotonic(), ready) for login, road in roads.items()}
        lost = {login: trouble for login, trouble in waited.items() if trouble}
        for login in roads.keys() - lost.keys():
            roads[login].keep()
        yield Forwards({port: path for port, path in sockets.items() if port.login not in lost}, lost)


def _options(login: str, sockets: Mapping[Port, Path]) -> list[str]:
    mine = [(port, path) for port, path in sockets.items() if port.login == login]
    return [
        *_OPTIONS,
        *(word for port, path in mine for word in ("-L", f"{path}:{port.address}:{port.number}")),
    ]


class _Road:
    """One ssh, and after it the next one."""

    def __init__(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self._start = start
        self._process = start()
        self._words = _Words(cast(IO[bytes], self._process.stderr))
        self._closed, self._turn = Event(), Lock()

    def wait(self, seconds: float, bound: float) -> str | None:
        """What is wrong with the first one, None once it forwards."""
        process = self._process
        assert process.stdout is not None
        readable, _, _ = select.select([process.stdout], [], [], max(seconds, 0))
        if not readable:
            return f"ssh: no login within {bound:g} seconds"
        if process.stdout.readline().strip() == _READY:
            return None
        process.wait()
        self._words.thread.join()
        return trouble_of("".join(self._words.lines))

    def keep(self) -> None:
        """Start it again, from now on, whenever it ends."""
        Thread(target=self._again_and_again, name="ssh", daemon=True).start()

    def _again_and_again(self) -> None:
        pause, began = _PAUSE, time.monotonic()
        while True:
            self._process.wait()
            pause = _PAUSE if time.monotonic() - began > _LONGEST_PAUSE else pause
            if self._closed.wait(pause):
                return
            pause, began = min(2 * pause, _LONGEST_PAUSE), time.monotonic()
            with self._turn, suppress(ToolError):
                if self._closed.is_set():
                    return
                _close(self._process)
                self._process = self._start()
                self._words = _Words(cast(IO[bytes], self._process.stderr))

    def close(self) -> None:
        """End it; none is started any more."""
        self._closed.set()
        with self._turn:
            _close(self._process)


def _close(process: subprocess.Popen[bytes]) -> None:
    end(process)
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()


class _Words:
    """The last lines of an ssh's standard error, read for as long as it runs: a full pipe would stop it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.lines: deque[str] = deque(maxlen=20)
        self._stream = stream
        self.thread = Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self) -> None:
        with self._stream:
            self.lines.extend(line.decode(errors="replace") for line in self._stream)
