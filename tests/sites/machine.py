"""A machine of a test: namespaces for its network, its processes and its file system, gone with the test."""

from __future__ import annotations

import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from scripts.tools import TOOLS

LONG = 180
"""Seconds that anything may take that takes less than one where nothing else runs."""
# What a node writes to stays in memory. It ends when the test's end of the pipe does.
_BOOT = """set -eu
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /srv
for folder in etc usr/local var/lib; do
    above="/run/above/$folder"
    mkdir -p "$above/upper" "$above/work"
    mount -t overlay overlay -o "lowerdir=/$folder,upperdir=$above/upper,workdir=$above/work" "/$folder"
done
mkdir /run/lock
: >/etc/resolv.conf
ip link set lo up
echo up
read -r _ || true
"""
_UNSHARE = ("unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc")


class Machine:
    """Its first process only waits; whatever else runs in it ends with it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._started: list[subprocess.Popen[bytes]] = []
        self._holder = subprocess.Popen(
            (*_UNSHARE, "sh", "-c", _BOOT),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None and self._holder.stderr is not None
        if self._holder.stdout.readline() != "up\n":
            why = self._holder.stderr.read().strip()
            self.end()
            pytest.skip(f"this machine makes no namespaces: {why}")
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text()
        self.first = int(children.split()[0])
        self.run("hostname", name)

    def end(self) -> None:
        self._holder.kill()
        self._holder.wait(timeout=LONG)
        for process in self._started:
            process.wait(timeout=LONG)
        for pipe in (self._holder.stdin, self._holder.stdout, self._holder.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()

    def at(self, path: str) -> Path:
        """The machine's file, as seen from outside."""
        return Path(f"/proc/{self.first}/root{path}")

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        place = self.at(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(mode)

    def command(self, *words: str) -> list[str]:
        """The command that runs another one in the machine."""
        return ["nsenter", f"--target={self.first}", "--net", "--mount", "--pid", "--uts", "--wd=/", *words]

    def does(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command, however it ends."""
        path = f"{TOOLS / 'bin'}:/usr/local/sbin:/usr/sbin:/sbin:{os.environ['PATH']}"
        return subprocess.run(
            self.command(*words),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=LONG,
            env={**os.environ, "PATH": path},
        )

    def run(self, *words: str, stdin: str = "") -> str:
        """What a command prints that has to succeed."""
        done = self.does(*words, stdin=stdin)
        assert done.returncode == 0, f"{self.name}: {' '.join(words)}: {done.stdout}{done.stderr}"
        return done.stdout

    def drops(self, name: str, hook: str, what: str) -> None:
        """From now on drop such packets, at the hook forward or output."""
        chain = f"chain drops {{\n type filter hook {hook} priority 0\n {what} drop\n }}"
        self.run("nft", "-f", "-", stdin=f"table ip {name} {{\n {chain}\n }}\n")

    def starts(self, *words: str, into: str = "/dev/null") -> subprocess.Popen[bytes]:
        """A program that runs on and writes into a file of the machine; it ends with the machine."""
        with self.at(into).open("wb") as output:
            process = subprocess.Popen(
                self.command(*words), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._started.append(process)
        return process


def stop(process: subprocess.Popen[bytes]) -> None:
    """End a program that a machine started: it is the child of what entered the machine."""
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        os.kill(int(child), signal.SIGKILL)
    process.wait(timeout=LONG)


def cable(one: Machine, device: str, other: Machine, device_there: str) -> None:
    """Join two machines, both ends up."""
    ends = (one, device), (other, device_there)
    words = ("type", "veth", "peer", "name", device_there, "netns", str(other.first))
    # Out here a process has the number by which the other machine is named.
    network = ("nsenter", f"--target={one.first}", "--net")
    subprocess.run((*network, "ip", "link", "add", device, *words), check=True, timeout=LONG)
    for machine, name in ends:
        machine.run("ip", "link", "set", name, "up")
