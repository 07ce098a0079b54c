"""Starts and stops moto, an AWS API double, as a background process of this clone.

    python -m scripts.embedded_aws start|stop|status [--port N] [--state FOLDER]

The double answers on 127.0.0.1 only, keeps what it is told in memory (stopping it forgets everything), checks
no credentials, and outlives the shell that started it. ``FOLDER`` (default ``.clustermesos/embedded-aws``,
mode 0700) holds its process id and its log. Exit codes: 0 fine, 1 failed or not running, 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from scripts.background import Process, gone, start_time
from scripts.progress import ROOT, STATE, StepError, already, one_line_errors, step

HOST = "127.0.0.1"
DEFAULT_PORT = 5566
WHAT = "moto, an AWS API double"
PORTS = range(20_000, 30_000)
"""Below net.ipv4.ip_local_port_range, as it is unless somebody changed it."""
_READY_WITHIN = 180.0
_STOPPED_WITHIN = 60.0
_SERVER = ROOT / "scripts" / "repaired_moto.py"
_IMAGES = ROOT / "scripts" / "embedded_images.json"
"""Machine images that the double offers: its own list has no Ubuntu 24.04."""


_ports = iter(random.sample(PORTS, len(PORTS)))
"""Another order in each process: several run side by side."""


class EmbeddedAws:
    """One AWS API double and the folder that remembers it."""

    def __init__(self, folder: Path = STATE / "embedded-aws") -> None:
        self.folder = folder
        self.log = folder / "moto.log"
        self._pid_file = folder / "moto.json"
        self._child: subprocess.Popen[bytes] | None = None

    def running(self) -> Process | None:
        """The process that this folder remembers, while it runs."""
        try:
            process = Process(**json.loads(self._pid_file.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return process if process.alive() else None

    def start(self, port: int) -> bool:
        """Start the double and wait until it answers; false where it runs on that port already.

        Raises:
            StepError: the port is taken by another program, or the double ended or does not answer in time.
        """
        process = self.running()
        if process and process.port == port:
            return False
        if process:
            raise StepError(
                f"the AWS API double already runs on port {process.port}: make demo-destroy first"
            )
        self._refuse_taken(port)
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        with self.log.open("ab") as log:
            self._child = server = subprocess.Popen(
                [sys.executable, "-P", _SERVER, "--host", HOST, "--port", str(port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env={**os.environ, "MOTO_AMIS_PATH": str(_IMAGES)},
                start_new_session=True,  # a Ctrl-C in the shell that started it must not end it
            )
        started = start_time(server.pid) or 0
        self._pid_file.write_text(json.dumps({"pid": server.pid, "started": started, "port": port}))
        self._wait(server, port)
        return True

    def stop(self) -> bool:
        """End the double and all that it remembers; false where it did not run.

        Raises:
            StepError: the process survives a SIGKILL.
        """
        process = self.running()
        if process is None:
            self._pid_file.unlink(missing_ok=True)
            return False
        for sign in (signal.SIGTERM, signal.SIGKILL):
            os.kill(process.pid, sign)
            if gone(process, _STOPPED_WITHIN):
                self._pid_file.unlink(missing_ok=True)
                if self._child is not None:
                    self._child.wait()
                return True
        raise StepError(f"process {process.pid} does not end; its log: {self.log}")

    def _wait(self, server: subprocess.Popen[bytes], port: int) -> None:
        give_up = time.monotonic() + _READY_WITHIN
        while time.monotonic() < give_up:
            if answers(port):
                return
            if server.poll() is not None:
                raise StepError(f"{WHAT}, ended with {server.returncode}: {_last_line(self.log)}")
            time.sleep(0.1)
        self.stop()
        raise StepError(
            f"{WHAT}, does not answer on port {port} after {_READY_WITHIN:.0f} s (log: {self.log})"
        )

    def _refuse_taken(self, port: int) -> None:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise StepError(
                    f"port {port} on {HOST} cannot be used ({error.strerror}): end the program that has it, "
                    "or name another port in cluster.yaml (sites.*.aws.endpoint)"
                ) from error


def answers(port: int) -> bool:
    """Whether a moto server answers on that port of this machine."""
    # Through no proxy: the environment's http_proxy must not see loopback traffic.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"http://{HOST}:{port}/moto-api/data.json", timeout=5) as reply:
            return bool(reply.status == 200)
    except (URLError, OSError):
        return False


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has right now, and that this process gets but once.

    It is used a moment later. So it is none of those that Linux hands out by itself, to any connection.
    """
    for port in _ports:
        with socket.socket() as tcp, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tcp.bind((HOST, port))
                udp.bind((HOST, port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port among {PORTS.start} to {PORTS.stop - 1}")


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return f"{lines[-1]} (log: {log})" if lines else f"nothing in {log}"


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    parser = argparse.ArgumentParser(prog="embedded_aws", description=f"{WHAT}, in the background.")
    parser.add_argument("command", choices=("start", "stop", "status"))
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="default %(default)s")
    parser.add_argument("--state", type=Path, default=STATE / "embedded-aws", help="default %(default)s")
    asked = parser.parse_args(arguments)
    if not 1 <= asked.port <= 65535:
        parser.error(f"--port: got {asked.port}, expected 1 to 65535")
    double = EmbeddedAws(asked.state.absolute())
    return {"start": _start, "stop": _stop, "status": _status}[asked.command](double, asked.port)


def _start(double: EmbeddedAws, port: int) -> int:
    where = f"{WHAT}, on http://{HOST}:{port}"
    if double.running():
        double.start(port)
        already(where, "runs")
        return 0
    with step(where):
        double.start(port)
    return 0


def _stop(double: EmbeddedAws, port: int) -> int:
    print(f"==> {WHAT}: {'stopped' if double.stop() else 'was not running'}", flush=True)
    return 0


def _status(double: EmbeddedAws, port: int) -> int:
    process = double.running()
    if process is None:
        print(f"{WHAT}: not running")
        return 1
    print(f"{WHAT}: http://{HOST}:{process.port}, process {process.pid}, log {double.log}")
    return 0


if __name__ == "__main__":
    with one_line_errors():
        sys.exit(main(sys.argv[1:]))
