"""The data volume on real loop devices; systemctl is a double that really mounts and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.nodes.node import Node

ID = "vol-0123456789abcdef0"
AWS_NAME = "nvme-Amazon_Elastic_Block_Store_vol0123456789abcdef0"
SIZE = 64 * 2**20

SYSTEMCTL_THAT_MOUNTS = """#!/bin/sh
# Double of systemctl: notes calls; `start X.mount` mounts the device that the unit names by its UUID.
echo "$*" >>"$DOUBLES/calls"
if [ "$1 ${2##*.}" = "start mount" ]; then
    uuid=$(sed -n 's|^What=/dev/disk/by-uuid/||p' "$ROOT/etc/systemd/system/$2")
    where=$ROOT$(sed -n 's|^Where=||p' "$ROOT/etc/systemd/system/$2")
    [ "$(blkid -p -s UUID -o value "$DEVICE")" = "$uuid" ] || { echo "no device has UUID $uuid" >&2; exit 1; }
    mountpoint -q "$where" || mount "$DEVICE" "$where"
fi
"""

pytestmark = pytest.mark.root


class Machine:
    """A temporary root with one disk: a loop device that bears a by-id name."""

    def __init__(self, folder: Path) -> None:
        self.node = Node(folder)
        self.root, self.image = self.node.root, folder / "disk"
        self.by_id = self.root / "dev/disk/by-id"
        for made in (
            self.by_id,
            self.root / "var/lib/clustermesos",
            self.root / "etc/systemd/system",
        ):
            made.mkdir(parents=True, exist_ok=True)
        self.node.double("systemctl", SYSTEMCTL_THAT_MOUNTS)
        self.container(False)
        self.image.write_bytes(b"")
        os.truncate(self.image, SIZE)
        self.device = ""

    def container(self, yes: bool) -> None:
        code = 0 if yes else 1
        self.node.double("systemd-detect-virt", f"#!/bin/sh\n# Double of systemd-detect-virt.\nexit {code}\n")

    def attach(self, name: str = AWS_NAME) -> None:
        done = subprocess.run(
            ["losetup", "-f", "--show", str(self.image)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"no loop devices here: {done.stderr.strip()}")
        self.device = done.stdout.strip()
        (self.by_id / name).symlink_to(self.device)

    def detach(self) -> None:
        subprocess.run(["umount", str(self.root / "srv/data")], capture_output=True, check=False)
        if self.device:
            subprocess.run(["losetup", "-d", self.device], check=False)

    def run(self, volume: str = ID, *, seconds: int = 0) -> subprocess.CompletedProcess[str]:
        self.node.send({}, volume={"id": volume, "mount": "/srv/data"})
        return subprocess.run(
            self.node.command("apply", patience=seconds),
            capture_output=True,
            text=True,
            check=False,
            env=self.node.environment() | {"ROOT": str(self.root), "DEVICE": self.device},
            timeout=180,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    yield machine
    machine.detach()


def test_an_empty_volume_is_formatted_and_mounted_and_a_second_run_keeps_what_is_on_it(
    machine: Machine,
) -> None:
    machine.attach()
    first = machine.run()
    assert first.returncode == 0, first.stderr
    assert f"clustermesos-apply: {ID} is {machine.device}, mounted at /srv/data\n" in first.stdout
    (machine.root / "srv/data/kept").write_text("precious")
    subprocess.run(["umount", str(machine.root / "srv/data")], check=True)

    again = machine.run()

    assert again.returncode == 0, again.stderr
    assert (machine.root / "srv/data/kept").read_text() == "precious"


def test_systemd_reads_its_units_anew_for_a_mount_that_changed_and_not_for_a_new_one(
    machine: Machine,
) -> None:
    machine.attach()
    assert machine.run().returncode == 0
    assert machine.node.calls()[:2] == ["enable --no-reload srv-data.mount", "start srv-data.mount"]

    machine.container(True)
    assert machine.run().returncode == 0
    assert machine.node.calls()[:2] == ["daemon-reload", "enable --no-reload srv-data.mount"]


def test_its_file_system_is_checked_before_it_is_mounted(machine: Machine) -> None:
    machine.attach()
    assert machine.run().returncode == 0

    unit = (machine.root / "etc/systemd/system/srv-data.mount").read_text()
    uuid = re.findall("^What=/dev/disk/by-uuid/(.*)$", unit, re.MULTILINE)[0]
    name = f"systemd-fsck@dev-disk-by\\x2duuid-{uuid.replace('-', chr(92) + 'x2d')}.service"
    assert f"\nRequires={name}\nAfter={name}\n" in unit

    machine.container(True)
    assert machine.run().returncode == 0
    assert "fsck" not in (machine.root / "etc/systemd/system/srv-data.mount").read_text()


def test_a_grown_volume_has_its_file_system_grown(machine: Machine) -> None:
    if not may_resize():
        pytest.skip("the kernel lets nobody here grow a mounted file system (no CAP_SYS_RESOURCE)")
    machine.attach()
    assert machine.run().returncode == 0
    before = os.statvfs(machine.root / "srv/data")
    os.truncate(machine.image, 2 * SIZE)
    subprocess.run(["losetup", "-c", machine.device], check=True)

    grown = machine.run()

    assert grown.returncode == 0, grown.stderr
    after = os.statvfs(machine.root / "srv/data")
    assert after.f_blocks > 1.8 * before.f_blocks


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (["mkfs.ext2", "-q"], "holds ext2, not ext4"),
        (["mkswap", "-q"], "holds swap, not ext4"),
        (["sh", "-c", 'echo "label: gpt" | sfdisk -q "$0"'], "holds a gpt partition table, not ext4"),
        (["sh", "-c", 'echo "label: dos" | sfdisk -q "$0"'], "holds a dos partition table, not ext4"),
        (
            ["sh", "-c", 'printf data | dd of="$0" bs=1 seek=4096 conv=notrunc status=none'],
            "holds unknown data",
        ),
        (
            ["sh", "-c", 'printf data | dd of="$0" bs=1 seek=67108000 conv=notrunc status=none'],
            "holds unknown data",
        ),
    ],
)
def test_a_disk_that_holds_anything_is_never_formatted(
    machine: Machine, prepare: list[str], words: str
) -> None:
    machine.attach()
    subprocess.run([*prepare, machine.device], check=True, capture_output=True)
    before = machine.image.read_bytes()

    done = machine.run()

    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert machine.image.read_bytes() == before


def test_a_crash_while_formatting_an_empty_disk_is_healed(machine: Machine) -> None:
    machine.attach()
    note = machine.root / "var/lib/clustermesos/formatting-vol0123456789abcdef0"
    note.write_text("true")
    subprocess.run(
        ["dd", "if=/dev/urandom", f"of={machine.device}", "bs=64k", "count=2", "seek=3"],
        check=True,
        capture_output=True,
    )

    done = machine.run()

    assert done.returncode == 0, done.stderr
    assert note.read_text() == "false"


@pytest.mark.parametrize(
    ("volume", "name"),
    [
        (ID, AWS_NAME),
        (ID, f"{AWS_NAME}_1"),
        ("1b2c3d4e-5f60-7182-93a4-b5c6d7e8f901", "virtio-1b2c3d4e-5f60-7182-9"),
        ("1b2c3d4e-5f60-7182-93a4-b5c6d7e8f901", "scsi-0QEMU_QEMU_HARDDISK_1b2c3d4e-5f60-7182-9"),
        ("master-1", "virtio-master-1"),
    ],
)
def test_the_device_is_found_by_the_name_that_each_platform_gives_it(
    machine: Machine, volume: str, name: str
) -> None:
    machine.attach(name)

    done = machine.run(volume)

    assert done.returncode == 0, done.stderr


def test_another_volume_and_a_partition_are_not_taken_for_it(machine: Machine) -> None:
    machine.attach("nvme-Amazon_Elastic_Block_Store_vol0fedcba9876543210")
    (machine.by_id / f"{AWS_NAME}-part1").symlink_to(machine.device)

    done = machine.run()

    assert done.returncode == 1
    assert f"volume {ID} is not attached: /dev/disk/by-id has nvme-" in done.stderr
    assert done.stderr.endswith("gave up after 0 s\n")


def test_two_disks_that_bear_the_same_id_are_refused(machine: Machine, tmp_path: Path) -> None:
    machine.attach()
    (machine.by_id / f"{AWS_NAME}_1").symlink_to("/dev/zero")

    done = machine.run()

    assert done.returncode == 2
    assert "all bear its id" in done.stderr


def may_resize() -> bool:
    status = Path("/proc/self/status").read_text()
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff")), 16)
    return bool(effective >> 24 & 1)
