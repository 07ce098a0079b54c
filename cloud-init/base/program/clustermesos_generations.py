"""Which generation is wanted: the one that arrived, the one that is here, or the former one."""

from __future__ import annotations

import shutil
from pathlib import Path

from clustermesos_disk import Disk, read_manifest, sync
from clustermesos_node import WRONG, Failure, ask


def take(disk: Disk, *, boot: bool) -> int:
    """The number of the wanted generation: incoming, where one arrived, else the one wanted before."""
    incoming, wanted = disk.incoming, disk.pointer("wanted")
    # A machine that went down while a generation was arriving has to come up with the one it had.
    half = boot and wanted is not None and not (incoming / "manifest.json").exists()
    if half or not incoming.exists():
        if wanted is None:
            raise Failure(f"nothing to apply: there is no {incoming}", WRONG)
        return wanted
    read_manifest(incoming)
    if wanted in disk.numbers() and same(incoming, disk.folder(wanted)):
        shutil.rmtree(incoming)
        return wanted
    number = max(disk.numbers(), default=0) + 1
    disk.folder(number).parent.mkdir(exist_ok=True)
    if disk.pointer("applied") is not None:
        (incoming / "former").write_text(str(disk.pointer("applied")))
    # Pointed at first: a crash before the rename leaves incoming, which then becomes this very number.
    disk.point("wanted", number)
    incoming.rename(disk.folder(number))
    sync(disk.folder(number).parent)
    return number


def same(one: Path, other: Path) -> bool:
    return not ask("diff", "-rq", "--exclude=former", str(one), str(other)).returncode


def back(disk: Disk) -> int:
    """The generation to go back to: the applied one when the wanted one never was, else its former."""
    wanted, applied = disk.pointer("wanted"), disk.pointer("applied")
    if wanted and wanted != applied and wanted == disk.noted("back", None):
        # A way back that did not come to its end is gone on with.
        return wanted
    number = applied if applied != wanted else applied and disk.former(applied)
    if number not in disk.numbers():
        raise Failure("there is no former generation to go back to", WRONG)
    disk.note("back", number)
    disk.point("wanted", number)
    return number
