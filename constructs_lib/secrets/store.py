"""The file that holds the secrets: `{"version": 1, "secrets": {name: value}}`, 0600 in a 0700 folder.

It is read only when nobody else can have read or changed it, and replaced in one step. No value is ever part
of an error.
"""

from __future__ import annotations

import fcntl
import json
import os
import stat
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from constructs_lib.errors import SecretsError

VERSION = 1
OTHERS = 0o077


def read_store(path: Path) -> dict[str, str]:
    """Name → value; empty when there is no file. SecretsError when the file can't be trusted or read."""
    try:
        # Without O_NONBLOCK a named pipe in the file's place would be waited for.
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return {}
    except OSError as error:
        if path.is_symlink():
            raise SecretsError(f"{path}: is a symbolic link; put the file itself there") from None
        raise SecretsError(f"{path}: can't be opened: {error.strerror}") from None
    try:
        _refuse_untrusted(path, os.fstat(handle))
        _refuse_open_folder(path.parent)
        with os.fdopen(handle, "rb", closefd=False) as file:
            return _parse(path, file.read())
    finally:
        os.close(handle)


def write_store(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step; a crash or a full disk leaves the old one."""
    _refuse_open_folder(path.parent)
    document = {"version": VERSION, "secrets": dict(sorted(values.items()))}
    write_private(path, json.dumps(document, indent=2) + "\n")


def write_private(path: Path, text: str) -> None:
    """Write a 0600 file in one step. SecretsError names the file when that fails."""
    temporary: Path | None = None
    try:
        # mkstemp makes it 0600 from the start.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        temporary = Path(name)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        raise SecretsError(f"{path}: can't be written: {error.strerror}") from None


@contextmanager
def locked(path: Path, *, patience: float = 30.0) -> Iterator[None]:
    """Nobody else changes the store meanwhile; SecretsError when it is busy for `patience` seconds."""
    try:
        handle = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise SecretsError(f"{path}: can't be locked: {error.strerror}") from None
    try:
        _wait_for_lock(handle, path, patience)
        yield
    finally:
        os.close(handle)


def _wait_for_lock(handle: int, path: Path, patience: float) -> None:
    end = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise SecretsError(
                    f"{path}: another clustermesos has held it for {patience:g} s; end that one or try later"
                ) from None
            time.sleep(0.05)


def _refuse_untrusted(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise SecretsError(f"{path}: not a regular file; put the file itself there")
    if status.st_uid != os.geteuid():
        raise SecretsError(
            f"{path}: belongs to uid {status.st_uid}, but you are uid {os.geteuid()}; if you trust its "
            f"content, run: sudo chown {os.geteuid()} {path}"
        )
    if status.st_mode & OTHERS:
        raise SecretsError(
            f"{path}: mode {stat.S_IMODE(status.st_mode):04o} lets others read or change it; "
            f"run: chmod 600 {path} (and think about who may have read it)"
        )


def _refuse_open_folder(folder: Path) -> None:
    try:
        status = folder.stat()
    except OSError as error:
        raise SecretsError(f"{folder}: {error.strerror}") from None
    if status.st_uid != os.geteuid():
        raise SecretsError(
            f"{folder}: belongs to uid {status.st_uid}, but you are uid {os.geteuid()}; "
            f"run: sudo chown -R {os.geteuid()} {folder}"
        )
    if status.st_mode & OTHERS:
        raise SecretsError(
            f"{folder}: mode {stat.S_IMODE(status.st_mode):04o} lets others in; run: chmod 700 {folder}"
        )


def _parse(path: Path, content: bytes) -> dict[str, str]:
    restore = "restore it from your backup, or get it from the operator who has it"
    try:
        document = json.loads(content)
    except (UnicodeDecodeError, json.JSONDecodeError):
        raise SecretsError(f"{path}: not JSON; {restore}") from None
    version = document.get("version") if isinstance(document, dict) else None
    if version != VERSION:
        raise SecretsError(f"{path}: version: got {version!r}, expected {VERSION}; {restore}")
    values = document.get("secrets")
    if not isinstance(values, dict) or not all(isinstance(value, str) and value for value in values.values()):
        raise SecretsError(f"{path}: secrets: expected a mapping from names to non-empty strings; {restore}")
    return values
