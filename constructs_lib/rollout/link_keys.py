"""Changes the keys of all links at once: every gateway is made ready, then one after the other takes them.

The gateways that are called go before those that call, so that the first call under new keys is understood.
All keep the new keys, or all go back to the former ones.
"""

from __future__ import annotations

import contextlib
import json
import queue
import secrets
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import IO, Any, Protocol, cast

from constructs_lib.access.ssh import Answer, end
from constructs_lib.components.site_link import INTERFACE, PROGRAM, UNIT
from constructs_lib.errors import RollError
from constructs_lib.rollout.remote import ASK_SECONDS, NodeShell, asking

HEARD_SECONDS = 60
"""How long every link may take to be heard under its new keys; WireGuard calls again every five."""
READY_SECONDS = 600.0
"""How long a gateway may take to ask its source for every key's present value."""

Say = Callable[[str], None]


class Gateway(Protocol):
    """A gateway in a change of keys. Every method but `close` raises RollError when it is not reached."""

    @property
    def site(self) -> str:
        """Whose gateway it is."""

    def prepare(self) -> None:
        """All but the word is there; nothing changes."""

    def go(self) -> None:
        """It takes the new keys, and goes back by itself where nothing more is said and a link is missed."""

    def heard(self) -> tuple[bool, Sequence[str]]:
        """Whether every link that worked before works again, and the sites that are silent."""

    def decide(self, *, keep: bool) -> str:
        """Keep them, or go back; what became of it: "" where it is as wanted, else why not."""

    def close(self) -> None:
        """Let it go; before `go` nothing was changed."""


def change_keys(gateways: Sequence[Gateway], say: Say) -> None:
    """`gateways` in the order in which they change, those that are called first. RollError, and all have the
    former keys, unless it says otherwise.
    """
    try:
        for gateway in gateways:
            gateway.prepare()
            say(f"{gateway.site}: ready")
        switched: list[Gateway] = []
        try:
            for gateway in gateways:
                # Before the word: one that got it and was lost may have taken them.
                switched.append(gateway)
                gateway.go()
                say(f"{gateway.site}: has new keys")
            _require_heard(gateways, say)
        except RollError as error:
            raise RollError("\n".join([str(error), *_all_back(switched)])) from None
        except KeyboardInterrupt:
            _all_back(switched)
            raise
        _all_keep(gateways)
    finally:
        for gateway in gateways:
            gateway.close()


def _require_heard(gateways: Sequence[Gateway], say: Say) -> None:
    missed = []
    for gateway in gateways:
        well, silent = gateway.heard()
        if silent and not well:
            missed.append(f"{gateway.site} did not hear {', '.join(silent)} under new keys")
        elif silent:
            say(f"{gateway.site}: {', '.join(silent)} silent, as before: nothing waits for it")
    if missed:
        raise RollError("; ".join(missed))


def _all_back(gateways: Sequence[Gateway]) -> list[str]:
    lines = ["the former keys are in force again; run it again once that is mended"]
    for gateway in gateways:
        try:
            why = gateway.decide(keep=False)
        except RollError as error:
            why = str(error)
        if why:
            lines[0] = (
                f"a gateway that was not reached goes back to the former keys by itself within "
                f"{HEARD_SECONDS + 40} s; then run it again"
            )
            lines.append(f"{gateway.site}: {why}")
    return lines


def _all_keep(gateways: Sequence[Gateway]) -> None:
    """Each has heard the others: one that is lost now keeps its new keys by itself."""
    lost = []
    for gateway in gateways:
        try:
            if why := gateway.decide(keep=True):
                lost.append(f"{gateway.site}: {why}")
        except RollError as error:
            lost.append(f"{gateway.site}: {error}")
    if lost:
        raise RollError(
            "\n".join([*lost, "the links worked under new keys, but this is not known; run it again"])
        )


@dataclass
class RemoteGateway:
    """A gateway at the other end of one SSH session, through whose standard input the keys travel."""

    site: str
    shell: NodeShell
    keys: Mapping[str, tuple[str | None, str]]
    """Name of the secret → whose public key it is (None: the gateway's own private one), and the value."""
    peers: Sequence[str]
    """The sites that it has a tunnel to."""
    seconds: float = HEARD_SECONDS
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _lines: queue.Queue[str | None] = field(default_factory=queue.Queue, init=False)
    _answer: dict[str, Any] | None = field(default=None, init=False)

    def prepare(self) -> None:
        """See `Gateway`."""
        request = {
            "id": secrets.token_hex(8),
            "root": self.shell.root,
            "seconds": self.seconds,
            "keys": {name: {"site": site, "value": value} for name, (site, value) in self.keys.items()},
            "peers": list(self.peers),
            "unit": UNIT,
            "interface": INTERFACE,
            "calls": [PROGRAM, "watch"],
        }
        words, stdin = asking("link-keys", request)
        self._process = self.shell.ssh.start(self.shell.login, words)
        Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()
        self._tell(stdin)
        self._expect("ready", READY_SECONDS)

    def go(self) -> None:
        """See `Gateway`."""
        self._tell(b"go\n")
        self._expect("switched", ASK_SECONDS + 200)

    def heard(self) -> tuple[bool, Sequence[str]]:
        """See `Gateway`."""
        found = self._expect("heard", self.seconds + ASK_SECONDS)
        return bool(found["heard"]), tuple(found["silent"])

    def decide(self, *, keep: bool) -> str:
        """See `Gateway`."""
        self._tell(b"keep\n" if keep else b"back\n")
        answer = self._answer or self._expect("answer", ASK_SECONDS + 200)["answer"]
        return "" if answer["state"] == ("kept" if keep else "went back") else f"it {answer['state']}"

    def close(self) -> None:
        """See `Gateway`."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._input.close()
            end(self._process)
            cast("IO[bytes]", self._process.stderr).close()

    @property
    def _input(self) -> IO[bytes]:
        return cast("IO[bytes]", cast("subprocess.Popen[bytes]", self._process).stdin)

    def _read(self, out: IO[bytes]) -> None:
        with out:
            for line in out:
                self._lines.put(line.decode(errors="replace"))
        self._lines.put(None)

    def _tell(self, text: bytes) -> None:
        # A session that ended says why when its answer is missed.
        with contextlib.suppress(OSError, ValueError):
            self._input.write(text)
            self._input.flush()

    def _expect(self, what: str, seconds: float) -> dict[str, Any]:
        """The next line that has `what`; RollError where something else comes, or nothing."""
        until = time.monotonic() + seconds
        while True:
            try:
                line = self._lines.get(timeout=max(0.1, until - time.monotonic()))
            except queue.Empty:
                raise RollError(f"{self.site}: no answer within {seconds:g} seconds") from None
            if line is None:
                self._lines.put(None)
                raise RollError(f"{self.site}: the connection was lost: {self._trouble()}")
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if what in said:
                return cast("dict[str, Any]", said)
            if "refused" in said:
                raise RollError(f"{self.site}: {said['refused']}")
            if "answer" in said:
                self._answer = said["answer"]
                why = self._answer.get("why") if self._answer else ""
                raise RollError(f"{self.site}: {why or 'the change ended before it was decided'}")

    def _trouble(self) -> str:
        process = cast("subprocess.Popen[bytes]", self._process)
        end(process)
        errors = cast("IO[bytes]", process.stderr)
        said = "" if errors.closed else errors.read().decode(errors="replace")
        return Answer(code=process.returncode, out="", err=said).trouble or "without a word"
