"""Starts and stops `clustermesos simulate` for the demo, as a background process of this clone.

The machines of the AWS API double never boot, so nothing of the platform would answer the hooks. What they
are shown instead is a SIMULATOR, and says so everywhere.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from scripts.background import Process, gone, start_time
from scripts.environment import VENV
from scripts.progress import ROOT, STATE, StepError

WHAT = "a SIMULATOR of Mesos, Marathon and Chronos"
_READY_WITHIN = 60.0
_ENDS_WITHIN = 20.0
_SPEED = "10"
"""Simulated seconds in a real one: nobody learns anything by watching an image being fetched."""


class SimulatedPlatform:
    """One simulator and the folder that remembers it."""

    def __init__(self, folder: Path = STATE / "simulator") -> None:
        self.folder = folder
        self.endpoints = folder / "endpoints.json"
        """Where it answers: what CLUSTERMESOS_SIMULATOR names."""
        self.log = folder / "simulator.log"
        self._pid_file = folder / "process.json"

    def running(self) -> Process | None:
        """The process that this folder remembers, while it runs."""
        try:
            process = Process(**json.loads(self._pid_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return process if process.alive() else None

    def start(self) -> None:
        """Start it, and wait until it answers; StepError where it doesn't."""
        if self.running():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.endpoints.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(
                [
                    VENV / "bin" / "clustermesos",
                    "simulate",
                    "--port-base=0",
                    f"--speed={_SPEED}",
                    f"--endpoints={self.endpoints}",
                    f"--state={self.folder / 'state.json'}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=ROOT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,  # a Ctrl-C in the shell that started it must not end it
            )
        record = {"pid": child.pid, "started": start_time(child.pid) or 0, "port": 0}
        self._pid_file.write_text(json.dumps(record))
        give_up = time.monotonic() + _READY_WITHIN
        while not self.endpoints.exists():
            if child.poll() is not None or time.monotonic() > give_up:
                raise StepError(f"{WHAT} does not start; its log: {self.log}")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it, with all that it simulated; StepError where it survives a SIGKILL."""
        process = self.running()
        if process is not None:
            for sign in (signal.SIGTERM, signal.SIGKILL):
                os.kill(process.pid, sign)
                if gone(process, _ENDS_WITHIN):
                    break
            else:
                raise StepError(f"process {process.pid} does not end; its log: {self.log}")
        for file in (self._pid_file, self.endpoints, self.folder / "state.json"):
            file.unlink(missing_ok=True)
