"""Runs one command on one node by the user's own `ssh`: bounded, never asking, never unchecked."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Thread
from typing import IO, cast

from constructs_lib.access.ssh_config import Folder
from constructs_lib.errors import ToolError

LOST = 255
"""What ssh itself returns when it did not get as far as the command."""
DRAIN_SECONDS = 10.0
"""How long what an ended ssh has said may take to be read."""
_HINTS = {
    "host key verification failed": "the host key is not the expected one: someone may be in between. "
    "A gateway made with another secret looks the same: is .clustermesos/secrets.json the cluster's?",
    "host key is known": "no host key is planned for this host: is .clustermesos/secrets.json the cluster's?",
    "remote host identification has changed": "this very machine had another host key before: "
    "someone may be in between",
    "permission denied": "no key of yours is accepted: is it among admin.ssh_keys, and in your ssh-agent?",
    "connection timed out": "no answer: is your network among admin.networks, and does the machine run?",
    "connection refused": "nothing listens there (yet): the machine may still be booting",
}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a command said: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def trouble(self) -> str | None:
        """What went wrong in one line, with what to do where that is known; None for exit code 0."""
        if self.code == 0:
            return None
        if self.code == LOST:
            return trouble_of(self.err or self.out)
        said = _lines(self.err or self.out)
        return f"exit code {self.code}: {said[-1]}" if said else f"exit code {self.code}"


def trouble_of(text: str) -> str:
    """What an ssh that did not get through has said, in one line, with what to do where that is known."""
    said = _lines(text)
    hint = next((hint for sign, hint in _HINTS.items() if sign in text.lower()), None)
    words = said[-1].removeprefix("ssh: ") if said else "ssh failed without a word"
    return f"ssh: {words} ({hint})" if hint else f"ssh: {words}"


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip(" @\r")]


@dataclass(frozen=True, kw_only=True)
class Ssh:
    """OpenSSH with the files of `folder`, which `ssh_config.write` has written."""

    folder: Folder
    program: str = "ssh"
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def command(self, host: str, words: Sequence[str] = (), options: Sequence[str] = ()) -> list[str]:
        """The command line; `words` are joined by the remote shell, as always with ssh."""
        return [self.program, "-F", str(self.folder.batch_config), *options, host, "--", *words]

    def run(
        self,
        host: str,
        words: Sequence[str],
        *,
        timeout: float,
        stdin: bytes = b"",
        hear: Callable[[str], None] | None = None,
    ) -> Answer:
        """Run it, at most `timeout` seconds long: a longer one ends as exit code 255.

        `stdin` is what the command reads; `hear` gets each line of its output as soon as it is there.
        ToolError only when there is no ssh program.
        """
        process = self.start(host, words)
        pipes = _Pipes(process, stdin, hear)
        try:
            process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            end(process)
            pipes.drained()
            return Answer(code=LOST, out="", err=f"no answer within {timeout:g} seconds")
        except BaseException:
            end(process)
            raise
        out, err = pipes.drained()
        return Answer(code=process.returncode, out=out, err=err)

    def start(self, host: str, words: Sequence[str], options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """The running ssh with pipes to all of its streams; whoever starts it has to `end` it."""
        try:
            return subprocess.Popen(
                self.command(host, words, options),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A graphical prompt is one as well.
                env={**self.environ, "SSH_ASKPASS_REQUIRE": "never"},
                # Its own group, so that the jump's ssh ends with it; no terminal, so that nothing can be
                # asked.
                start_new_session=True,
            )
        except OSError as error:
            raise ToolError(f"{self.program}: {error.strerror or error}; install OpenSSH's client") from None


def end(process: subprocess.Popen[bytes]) -> None:
    """End an ssh and the one that jumps for it, which ends by itself after an ssh that has ended."""
    # The number of one that was waited for may be somebody else's by now.
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


class _Pipes:
    """Feeds and reads a process by one thread a stream, so that none of them can block another."""

    def __init__(
        self, process: subprocess.Popen[bytes], stdin: bytes, hear: Callable[[str], None] | None
    ) -> None:
        self._process = process
        self._out: list[str] = []
        self._err: list[str] = []
        work: tuple[tuple[Callable[..., None], tuple[object, ...]], ...] = (
            (self._feed, (stdin,)),
            (self._read, (process.stdout, self._out, hear)),
            (self._read, (process.stderr, self._err, None)),
        )
        self._threads = [Thread(target=target, args=args, daemon=True) for target, args in work]
        for thread in self._threads:
            thread.start()

    def drained(self) -> tuple[str, str]:
        """All of standard output and standard error, once the process has ended."""
        for thread in self._threads:
            thread.join(timeout=DRAIN_SECONDS)
        return "".join(self._out), "".join(self._err)

    def _feed(self, stdin: bytes) -> None:
        # A command that ends without reading everything is no error of ours.
        with contextlib.suppress(OSError), cast(IO[bytes], self._process.stdin) as pipe:
            pipe.write(stdin)

    @staticmethod
    def _read(pipe: IO[bytes], lines: list[str], hear: Callable[[str], None] | None) -> None:
        with pipe:
            for raw in pipe:
                line = raw.decode(errors="replace")
                lines.append(line)
                if hear is not None:
                    hear(line.rstrip("\r\n"))
