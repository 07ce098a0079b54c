"""A libvirtd of the tests' own: in its own network, with its own folders, and gone with all of its machines.

Machines are run by plain QEMU. Their image is a boot sector that knows one thing, to switch itself off when
the power button is pressed; so a machine takes no time to boot and almost none of the processor.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import need

PROGRAMS = (
    "libvirtd",
    "virsh",
    "qemu-system-x86_64",
    "qemu-img",
    "dnsmasq",
    "iptables",
    "unshare",
    "nsenter",
)
PATIENCE_SECONDS = 60
BOOT_SECTOR = bytes.fromhex(
    # q35's ACPI block lies at port 0x600, where SeaBIOS puts it.
    "ba0206"  # mov dx, 0x602   PM1 enable
    "b80001"  # mov ax, 0x100   power button
    "ef"  # out dx, ax
    "fb"  # sti
    "f4"  # hlt             until the clock ticks
    "ba0006"  # mov dx, 0x600   PM1 status
    "ed"  # in ax, dx
    "f6c401"  # test ah, 1      pressed?
    "74f6"  # jz hlt
    "ba0406"  # mov dx, 0x604   PM1 control
    "b80020"  # mov ax, 0x2000  sleep enable, type 0: off
    "ef"  # out dx, ax
    "ebed"  # jmp hlt
)
_START = """set -eu
ip link set lo up
if [ -n "$2" ]; then ip link add "$2" type bridge && ip link set "$2" up; fi
mount -t sysfs sysfs /sys
for at in etc:/etc/libvirt lib:/var/lib/libvirt cache:/var/cache/libvirt log:/var/log/libvirt; do
    mkdir -p "$1/${at%%:*}" "${at#*:}"
    mount --bind "$1/${at%%:*}" "${at#*:}"
done
mkdir -p /run/libvirt
mount -t tmpfs tmpfs /run/libvirt
cat >"$1/etc/libvirtd.conf" <<END
unix_sock_dir = "$1"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_rw_perms = "0700"
END
cat >"$1/etc/qemu.conf" <<END
user = "root"
group = "root"
security_driver = "none"
stdio_handler = "file"
cgroup_controllers = []
namespaces = []
END
libvirtd --config "$1/etc/libvirtd.conf" --pid-file "$1/pid" &
# Until the tests end, however they do. As the namespace's first process the shell buries QEMUs that ended;
# libvirtd waits for that.
cat >/dev/null
"""


@dataclass(frozen=True)
class Hypervisor:
    """One that runs; `folder` is its own, and only it and the tests know it; `process` is in its network."""

    folder: Path
    process: int

    @property
    def uri(self) -> str:
        """For whoever is on this computer, by a socket and no network."""
        return f"qemu:///system?socket={self.folder}/libvirt-sock"

    def image(self, mib: int = 1) -> tuple[Path, str]:
        """A bootable qcow2 image, and its checksum; one for each size."""
        raw, image = self.folder / "image.raw", self.folder / f"image-{mib}.qcow2"
        if not image.exists():
            raw.write_bytes(BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa")
            os.truncate(raw, mib * 2**20)
            subprocess.run(
                ["qemu-img", "convert", "-q", "-O", "qcow2", raw, image], check=True, timeout=PATIENCE_SECONDS
            )
        return image, hashlib.sha256(image.read_bytes()).hexdigest()

    def inside(self, *command: str | Path) -> list[str]:
        """The command as one that runs in its network, where its machines can be reached."""
        return ["nsenter", f"--target={self.process}", "--net", *map(str, command)]

    def virsh(self, *arguments: str) -> str:
        """What virsh prints; a failure fails the test."""
        done = self._virsh(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def answers(self) -> bool:
        """Whether anybody is at home."""
        return self._virsh("uri").returncode == 0

    def named(self, *question: str) -> set[str]:
        """The names that a `virsh …-list --name` tells."""
        return set(self.virsh(*question, "--name").split())

    def _virsh(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["virsh", "-c", self.uri, *arguments],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )


@contextmanager
def running(folder: Path, bridge: str = "") -> Iterator[Hypervisor]:
    """One in `folder`, with a bridge of that name; skipped by name without root or a program of it."""
    for program in PROGRAMS:
        need(program)
    if os.geteuid() != 0:
        pytest.skip("a libvirtd of the tests' own needs root: it makes a network namespace")
    # With its process namespace its machines and its dnsmasq end.
    spaces = ("--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "--propagation=private")
    with (folder / "libvirtd.log").open("w") as log:
        process = subprocess.Popen(
            ["unshare", *spaces, "sh", "-c", _START, "sh", str(folder), bridge],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
        )
    hypervisor = Hypervisor(folder, process.pid)
    try:
        _wait(hypervisor, process)
        yield hypervisor
    finally:
        process.kill()
        # Closes its input, too.
        process.communicate()


def _wait(hypervisor: Hypervisor, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not hypervisor.answers():
        log = (hypervisor.folder / "libvirtd.log").read_text()[-2000:]
        assert process.poll() is None, f"libvirtd ended:\n{log}"
        assert time.monotonic() < end, f"libvirtd does not answer:\n{log}"
        time.sleep(0.2)
