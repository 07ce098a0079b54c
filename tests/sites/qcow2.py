"""Disk images as qemu-img makes them, without needing it: nothing is on their disks."""

from __future__ import annotations

import struct

CLUSTER_BITS = 16
CLUSTER = 2**CLUSTER_BITS
GIB = 2**30


def qcow2(size: int = 2 * GIB, *, version: int = 2, backing: str = "") -> bytes:
    """An empty image of a disk of `size` bytes, on the file `backing` where one is named.

    One cluster each for the header, the table of reference counts, the counts, and the table of its clusters.
    """
    per_entry = CLUSTER // 8 * CLUSTER
    header = struct.pack(
        ">4sIQIIQIIQQIIQ",
        b"QFI\xfb",
        version,
        # Behind version 3's longer header.
        256 if backing else 0,
        len(backing),
        CLUSTER_BITS,
        size,
        0,
        -(-size // per_entry),
        3 * CLUSTER,
        CLUSTER,
        1,
        0,
        0,
    )
    if version >= 3:
        header += struct.pack(">QQQII", 0, 0, 0, 4, 104)
    first = header.ljust(256, b"\0") + backing.encode()
    parts = (first, struct.pack(">Q", 2 * CLUSTER), struct.pack(">4H", 1, 1, 1, 1), b"")
    return b"".join(part.ljust(CLUSTER, b"\0") for part in parts)
