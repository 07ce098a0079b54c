"""Ports of private nodes as sockets on this machine, through the gateway by the user's own `ssh`.

The sockets are Unix sockets in a folder that only this user can enter: a port on loopback would give
everybody on this machine what the gateway gives the operator alone. Each ssh ends with its standard input, so
that a forward never outlives the process that wanted it, however that ends.
"""

from __future__ import annotations

import select
import shutil
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO, cast

from constructs_lib.access.ssh import Ssh, end, trouble_of

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
)


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
        started: dict[str, tuple[subprocess.Popen[bytes], _Words]] = {}
        for login in dict.fromkeys(port.login for port in sockets):
            process = ssh.start(login, _WAITING, options=_options(login, sockets))
            stack.callback(_close, process)
            started[login] = (process, _Words(cast(IO[bytes], process.stderr)))
        until = time.monotonic() + ready
        waited = {
            login: _wait(process, words, until - time.monotonic(), ready)
            for login, (process, words) in started.items()
        }
        lost = {login: trouble for login, trouble in waited.items() if trouble}
        yield Forwards({port: path for port, path in sockets.items() if port.login not in lost}, lost)


def _options(login: str, sockets: Mapping[Port, Path]) -> list[str]:
    mine = [(port, path) for port, path in sockets.items() if port.login == login]
    return [
        *_OPTIONS,
        *(word for port, path in mine for word in ("-L", f"{path}:{port.address}:{port.number}")),
    ]


def _wait(process: subprocess.Popen[bytes], words: _Words, seconds: float, bound: float) -> str | None:
    """What is wrong, None once it forwards."""
    assert process.stdout is not None
    readable, _, _ = select.select([process.stdout], [], [], max(seconds, 0))
    if not readable:
        return f"ssh: no login within {bound:g} seconds"
    if process.stdout.readline().strip() == _READY:
        return None
    process.wait()
    words.thread.join()
    return trouble_of("".join(words.lines))


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
