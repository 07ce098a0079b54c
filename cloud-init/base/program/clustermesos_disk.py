"""The node's files below a root, each put in place in one step, and the generations that they come from."""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustermesos_node import WRONG, Failure, say

if TYPE_CHECKING:
    Entry = dict[str, Any]


class Disk:
    """Everything that is written; `root` is / but in a test."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)
        self.state = self.at("/var/lib/clustermesos")
        self.incoming = self.state / "incoming"

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def put(self, path: str, content: bytes, mode: int = 0o644, owner: str = "root") -> bool:
        """True when the content changed. A full or read-only disk leaves the old file as it was."""
        target, uid_gid = self.at(path), ids(owner)
        try:
            if not self.differs(path, content):
                own(target, mode, *uid_gid)
                return False
            target.parent.mkdir(parents=True, exist_ok=True)
            write(target, content, mode, *uid_gid)
        except OSError as error:
            raise Failure(f"cannot write {path}: {error.strerror}: {error.filename}") from None
        return True

    def differs(self, path: str, content: bytes) -> bool:
        target = self.at(path)
        return target.is_symlink() or not target.is_file() or target.read_bytes() != content

    def original(self, path: str) -> Path:
        return self.state / "originals" / path.lstrip("/")

    def keep_original(self, path: str) -> None:
        """A file of the distribution comes back when nothing is rendered there any more."""
        target, original = self.at(path), self.original(path)
        if target.is_file() and not original.exists():
            status = target.stat()
            original.parent.mkdir(parents=True, exist_ok=True)
            write(original, target.read_bytes(), status.st_mode & 0o7777, status.st_uid, status.st_gid)

    def drop(self, path: str) -> None:
        target, original = self.at(path), self.original(path)
        if original.exists():
            status = original.stat()
            write(target, original.read_bytes(), status.st_mode & 0o7777, status.st_uid, status.st_gid)
            original.unlink()
        else:
            target.unlink(missing_ok=True)
        say(f"removed {path}: no longer rendered")

    def owned(self, *, beside: int) -> dict[str, Entry]:
        """path → its entry, over all kept generations but one; the newest says how to restart."""
        return {
            entry["path"]: entry
            for number in self.numbers()
            if number != beside
            for entry in placed(read_manifest(self.folder(number)))
        }

    def numbers(self) -> list[int]:
        return sorted(int(path.name) for path in (self.state / "generations").glob("[0-9]*"))

    def folder(self, number: int | None) -> Path:
        return self.state / "generations" / str(number)

    def former(self, number: int) -> int | None:
        """The generation that was applied when this one arrived."""
        path = self.folder(number) / "former"
        return int(path.read_text()) if path.exists() else None

    def pointer(self, name: str) -> int | None:
        """The generation that the link `wanted` or `applied` names; None while there is none."""
        link = self.state / name
        return int(link.readlink().name) if link.is_symlink() else None

    def point(self, name: str, number: int) -> None:
        fresh = self.state / f".{name}"
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(f"generations/{number}")
        fresh.replace(self.state / name)
        sync(self.state)

    def note(self, name: str, data: object) -> None:
        write(self.state / name, json.dumps(data).encode(), 0o600, os.getuid(), os.getgid())

    def noted(self, name: str, default: Any) -> Any:
        path = self.state / name
        return json.loads(path.read_text()) if path.exists() else default


def write(target: Path, content: bytes, mode: int, uid: int, gid: int) -> None:
    """`target` is the old file or the whole new one, never a part, also after a crash."""
    fresh = target.with_name(f".{target.name}.clustermesos")
    fresh.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        own(fresh, mode, uid, gid)
        fresh.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    sync(target.parent)


def own(target: Path, mode: int, uid: int, gid: int) -> None:
    status = target.stat()
    if (status.st_uid, status.st_gid) != (uid, gid):
        os.chown(target, uid, gid)
    if status.st_mode & 0o7777 != mode:
        target.chmod(mode)


def sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)


def ids(owner: str) -> tuple[int, int]:
    user, _, group = owner.partition(":")
    try:
        return pwd.getpwnam(user).pw_uid, grp.getgrnam(group or user).gr_gid
    except KeyError as error:
        raise Failure(f"owner {owner}: {error.args[0]}", WRONG) from None


def placed(manifest: Entry) -> list[Entry]:
    """Entries of everything that this generation puts in place."""
    entries: list[Entry] = manifest["files"] + manifest["secrets"]
    return entries


def read_manifest(folder: Path) -> Entry:
    """The manifest of a generation that is whole; Failure otherwise."""
    try:
        manifest: Entry = json.loads((folder / "manifest.json").read_text())
        known, paths = manifest["format"] == 1, [entry["path"] for entry in manifest["files"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"{folder}: no manifest that can be read ({error}); send it again", WRONG) from None
    absent = [path for path in paths if not (folder / "files" / path.lstrip("/")).is_file()]
    if not known or absent:
        raise Failure(f"{folder}: not whole, or of another version (missing: {absent}); send it again", WRONG)
    return manifest
