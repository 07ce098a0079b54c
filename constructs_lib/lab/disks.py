"""Disks of the lab's machines: files that have no name any more, behind loop devices that end with it."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from constructs_lib.errors import LabError

LOOP_CTL_GET_FREE, LOOP_CONFIGURE = 0x4C82, 0x4C0A
"""linux/loop.h"""
AUTOCLEAR = 4
ATTEMPTS = 50


class _LoopInfo(ctypes.Structure):
    """struct loop_info64 of linux/loop.h."""

    _fields_ = (
        ("device", ctypes.c_uint64),
        ("inode", ctypes.c_uint64),
        ("rdevice", ctypes.c_uint64),
        ("offset", ctypes.c_uint64),
        ("sizelimit", ctypes.c_uint64),
        ("number", ctypes.c_uint32),
        ("encrypt_type", ctypes.c_uint32),
        ("encrypt_key_size", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("file_name", ctypes.c_char * 64),
        ("crypt_name", ctypes.c_char * 64),
        ("encrypt_key", ctypes.c_uint8 * 32),
        ("init", ctypes.c_uint64 * 2),
    )


class _LoopConfig(ctypes.Structure):
    """struct loop_config of linux/loop.h."""

    _fields_ = (
        ("fd", ctypes.c_uint32),
        ("block_size", ctypes.c_uint32),
        ("info", _LoopInfo),
        ("reserved", ctypes.c_uint64 * 8),
    )


@dataclass
class Disk:
    """A block device at `path`, empty and sparse; it is gone with this process and whoever mounted it."""

    path: Path
    _handle: int

    def detach(self) -> None:
        """Let go of it: the kernel frees it as soon as nobody has it mounted or open."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def new_disk(folder: Path, size: int) -> Disk:
    """A disk of `size` bytes whose file lies in `folder` without a name; LabError where there is no room."""
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix="disk-")
        Path(name).unlink()
        os.truncate(handle, size)
        return _attach(handle)
    except OSError as error:
        raise LabError(f"{folder}: no disk of {size:,} bytes can be made there: {error.strerror}") from None


def _attach(file: int) -> Disk:
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        for _ in range(ATTEMPTS):
            path = Path(f"/dev/loop{fcntl.ioctl(control, LOOP_CTL_GET_FREE)}")
            device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            config = _LoopConfig(fd=file, info=_LoopInfo(flags=AUTOCLEAR))
            try:
                fcntl.ioctl(device, LOOP_CONFIGURE, config)
            except OSError as error:
                os.close(device)
                if error.errno != errno.EBUSY:
                    raise
                continue  # Somebody else was faster; ask for the next free one.
            return Disk(path, device)
    finally:
        os.close(control)
        os.close(file)
    raise LabError(f"no free loop device in {ATTEMPTS} attempts: losetup --list shows who has them")
