"""The lab's package mirror: what the image was built from, over HTTP at the machines' default gateway."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from constructs_lib.errors import LabError
from constructs_lib.lab.commands import SEARCH
from constructs_lib.lab.network import ROUTER

START_SECONDS = 60


@dataclass
class Mirror:
    """A server of `packages`, a flat apt repository."""

    packages: Path
    address: IPv4Address
    _server: subprocess.Popen[bytes] | None = None

    @property
    def apt_source(self) -> str:
        """The line of sources.list that names it."""
        return f"deb [trusted=yes] http://{self.address}/ ./\n"

    def start(self) -> None:
        """Serve, and return when it answers; LabError when it does not within 60 s."""
        if self._server is not None:
            return
        server = (sys.executable, "-m", "http.server", "80", "--bind", str(self.address))
        self._server = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{ROUTER}", *server, "--directory", str(self.packages)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={"PATH": SEARCH},
        )
        probe = f"exec 3<>/dev/tcp/{self.address}/80"
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            command = ("nsenter", f"--net=/run/netns/{ROUTER}", "bash", "-c", probe)
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return
            time.sleep(0.2)
        self.stop()
        raise LabError(f"the package mirror at {self.address} does not answer")

    def stop(self) -> None:
        """Be gone, as a mirror that is down."""
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._server = None
