"""Finds the data volume by its id, formats it when it is empty, mounts it, and grows its file system.

A disk that holds anything at all is never formatted.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from clustermesos_disk import Disk
from clustermesos_node import WRONG, Failure, ask, run, say, until
from clustermesos_units import enable, systemctl

LOOK = 2**20
"""Bytes at both ends of a disk that have to be zero before it counts as empty."""


def use_volume(disk: Disk, volume: str, where: str, seconds: int) -> None:
    device = until(seconds, 2, find_device, disk, volume)
    uuid = prepare(disk, device, plain(volume))
    mount(disk, where, uuid)
    target = disk.at(where)
    if run("findmnt", "-n", "-o", "UUID", "--mountpoint", str(target)).strip() != uuid:
        raise Failure(f"{target}: another file system is mounted there than {uuid} of volume {volume}")
    run("resize2fs", str(device))
    say(f"{volume} is {device}, mounted at {where}")


def find_device(disk: Disk, volume: str) -> Path:
    """The device that a name in /dev/disk/by-id gives the volume's id.

    AWS drops the dash of vol-0123…; virtio keeps the first 20 characters of an id and puts a prefix before
    them.
    """
    names = sorted(disk.at("/dev/disk/by-id").glob("*"))
    found = {name.resolve() for name in names if serves(name.name, plain(volume))}
    if len(found) > 1:
        raise Failure(f"volume {volume}: {sorted(map(str, found))} all bear its id", WRONG)
    if not found:
        seen = ", ".join(name.name for name in names) or "nothing"
        raise Failure(f"volume {volume} is not attached: /dev/disk/by-id has {seen}")
    return found.pop()


def serves(name: str, wanted: str) -> bool:
    if re.search(r"-part\d+$", name):
        return False
    serials = (plain(name.partition("-")[2]), plain(name.rpartition("_")[2]))
    return any(wanted in serial or (len(serial) >= 16 and wanted.startswith(serial)) for serial in serials)


def plain(text: str) -> str:
    return re.sub("[^a-z0-9]", "", text.lower())


def file_system(device: Path) -> dict[str, str]:
    """What blkid finds on the whole disk; empty when it finds nothing at all."""
    probe = ask("blkid", "-p", "-o", "export", str(device))
    if probe.returncode not in (0, 2):
        raise Failure(f"{device}: blkid can't tell what it holds: {probe.stderr.strip()}", WRONG)
    return dict(line.split("=", 1) for line in probe.stdout.splitlines() if "=" in line)


def empty(device: Path) -> bool:
    with device.open("rb") as raw:
        size = raw.seek(0, os.SEEK_END)
        for start in (0, max(0, size - LOOK)):
            raw.seek(start)
            if any(raw.read(LOOK)):
                return False
    return True


def prepare(disk: Disk, device: Path, volume: str) -> str:
    """The UUID of the volume's ext4; formats an empty disk, refuses every other one that is not ours."""
    # Noted before mkfs and forgotten after it: a crash in between leaves a disk that only looks used.
    note, advice = f"formatting-{volume}", "empty it by hand if it may go"
    begun, held = disk.noted(note, default=False), file_system(device)
    if begun or not held:
        if not begun and not empty(device):
            raise Failure(f"{device} holds unknown data; {advice}", WRONG)
        disk.note(note, data=True)
        run("mkfs.ext4", "-q", "-F", "-m", "1", "-L", "clustermesos", str(device))
        disk.note(note, data=False)
        held = file_system(device)
    if held.get("TYPE") != "ext4":
        what = held.get("TYPE") or f"a {held.get('PTTYPE', 'foreign')} partition table"
        raise Failure(f"{device} holds {what}, not ext4: never formatted; {advice}", WRONG)
    return held["UUID"]


def mount(disk: Disk, where: str, uuid: str) -> None:
    """A mount unit that services require: without it they do not start, and the machine still boots."""
    unit = f"{where.strip('/').replace('/', '-')}.mount"
    what = f"/dev/disk/by-uuid/{uuid}"
    checked = ""
    # As systemd does for fstab: repaired before it is mounted. A container has no units of devices.
    if ask("systemd-detect-virt", "-qc").returncode:
        check = f"systemd-fsck@{run('systemd-escape', '--path', what).strip()}.service"
        checked = f"Requires={check}\nAfter={check}\n"
    text = (
        f"[Unit]\nDescription=The data volume that outlives this machine\n{checked}\n"
        f"[Mount]\nWhat={what}\nWhere={where}\nType=ext4\nOptions=noatime\n\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    disk.at(where).mkdir(parents=True, exist_ok=True)
    path = f"/etc/systemd/system/{unit}"
    known = disk.at(path).exists()
    # systemd finds a new unit by itself; to read all of them anew is most of its work in a first boot.
    if disk.put(path, text.encode()) and known:
        run("systemctl", "daemon-reload")
    enable(unit)
    systemctl("start", unit)
