"""Runs jobs' commands for real, so that a test can back up and restore by what the jobs carry."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_LONGEST_SECONDS = 300.0
_TOO_LONG = 124
_NOT_STARTED = 127


@dataclass(frozen=True, kw_only=True)
class Commands:
    """Where and with what jobs' commands run; nothing of this process' own environment reaches them."""

    folder: Path
    """The working directory."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Under the job's own `environmentVariables`; PATH among them."""
    replace: Mapping[str, str] = field(default_factory=dict)
    """Text in commands and their environment → what it is here: a node's folders on this machine."""

    def run(self, job: Mapping[str, Any]) -> tuple[int, str]:
        """Exit code and output of one run; 127 where it can't be started."""
        environ = dict(self.environ)
        for entry in job.get("environmentVariables", []):
            environ[str(entry["name"])] = self._here(str(entry["value"]))
        command = self._here(str(job.get("command", "")))
        arguments = [self._here(str(one)) for one in job.get("arguments", [])]
        shell = job.get("shell", True)
        words = ["/bin/sh", "-c", " ".join([command, *arguments])] if shell else [command, *arguments]
        try:
            done = subprocess.run(
                words,
                cwd=self.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_LONGEST_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return (
                _TOO_LONG,
                f"{(late.output or b'').decode(errors='replace')}\nended after {_LONGEST_SECONDS:.0f} s",
            )
        except OSError as error:
            return _NOT_STARTED, f"{words[0]}: {error.strerror}"
        return done.returncode, done.stdout.decode(errors="replace")

    def _here(self, text: str) -> str:
        for there, here in self.replace.items():
            text = text.replace(there, here)
        return text
