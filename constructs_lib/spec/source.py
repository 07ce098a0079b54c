"""Reading the file itself: bounded, regular files only, UTF-8; everything else is one clear line."""

from __future__ import annotations

import codecs
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from constructs_lib.errors import Problem, SpecFileError

LARGEST = 1024 * 1024
"""Bytes; a cluster.yaml of 10,000 agents is 1 KiB, so that more is a wrong file."""

# What YAML 1.2 section 5.1 lets a stream hold; the parser would refuse the rest in its own words.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_OTHER_BOMS = ((codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"),
               (codecs.BOM_UTF16_LE, "UTF-16"), (codecs.BOM_UTF16_BE, "UTF-16"))  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """What a kind of file is called in errors."""

    one: str
    """What it holds one of."""
    file: str
    """Such a file, with its article."""
    least: str
    """The settings that none can be without."""


CLUSTER = Subject(one="cluster", file="a cluster.yaml", least="name, sites and admin")


def refuse_file(file: str, message: str, line: int = 0) -> NoReturn:
    """Raise SpecFileError with this one problem."""
    raise SpecFileError([Problem(file=file, line=line, path="", message=message)])


def read_bytes(path: Path, subject: Subject = CLUSTER) -> bytes:
    """The file's bytes, at most `LARGEST`; SpecFileError for what is no readable regular file."""
    file = str(path)
    try:
        # A named pipe without a writer would block open() itself; a device would never end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            _check_kind(os.fstat(descriptor).st_mode, file)
            data = _read_bounded(descriptor)
        finally:
            os.close(descriptor)
    except SpecFileError:  # which is a ValueError too
        raise
    except FileNotFoundError:
        refuse_file(file, "no such file; name it as an argument, in CLUSTERMESOS_FILE, or go to its folder")
    except PermissionError:
        refuse_file(file, "may not be read; look at its permissions (ls -l)")
    except (OSError, ValueError) as error:
        refuse_file(file, f"can't be read: {getattr(error, 'strerror', None) or error}")
    if len(data) > LARGEST:
        refuse_file(
            file, f"is larger than 1 MiB, expected {subject.file} of a few KiB: is this the right file?"
        )
    return data


def _check_kind(mode: int, file: str) -> None:
    if stat.S_ISDIR(mode):
        refuse_file(file, f"is a folder, expected a file such as {file.rstrip('/')}/cluster.yaml")
    if not stat.S_ISREG(mode):
        refuse_file(file, "is a pipe or a device, expected a regular file")


def _read_bounded(descriptor: int) -> bytes:
    data = b""
    while len(data) <= LARGEST and (more := os.read(descriptor, LARGEST + 1 - len(data))):
        data += more
    return data


def decode(data: bytes, file: str) -> str:
    """The text of UTF-8 `data` without its byte order mark; SpecFileError names the first bad byte's line."""
    for mark, encoding in _OTHER_BOMS:
        if data.startswith(mark):
            refuse_file(file, f"is {encoding} text, expected UTF-8: save it as UTF-8")
    data = data.removeprefix(codecs.BOM_UTF8)
    if _looks_like_utf16(data):
        refuse_file(
            file, "looks like UTF-16 text without a byte order mark, expected UTF-8: save it as UTF-8"
        )
    if b"\0" in data:
        refuse_file(file, "is no text file: it holds NUL bytes", data.count(b"\n", 0, data.index(b"\0")) + 1)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        byte = data[error.start]
        refuse_file(file, f"byte 0x{byte:02x} is not UTF-8 (Latin-1 text?): save the file as UTF-8", line)
    check_characters(text, file)
    return text


def check_characters(text: str, file: str) -> None:
    """SpecFileError for the first character that no YAML text may hold."""
    found = _FORBIDDEN.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        refuse_file(file, f"holds the control character U+{ord(found.group()):04X}: remove it", line)


def _looks_like_utf16(data: bytes) -> bool:
    """ASCII text in UTF-16 has a NUL in every second byte."""
    start = data[:200]
    zeros = max(start[::2].count(0), start[1::2].count(0))
    return len(start) >= 4 and zeros >= len(start) // 2 - 1
