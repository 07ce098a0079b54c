"""Compiled templates in the user's cache folder: what a synth compiled, the next one only reads.

Compiling takes longer than rendering all nodes. Nothing depends on the cache: what can't be read is compiled,
what can't be written is not kept, and a folder that others may write to is not used, since it holds code.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import sys
import tempfile
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from constructs_lib.spec.workspace import cache_folder


class CompiledTemplates(jinja2.BytecodeCache):
    """A file per template and per folder that it lies in, held by Jinja to the template's very text."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fill `bucket`, or leave it empty."""
        # A truncated file raises whatever marshal raises.
        with (
            contextlib.suppress(OSError, EOFError, ValueError, TypeError),
            self._file(bucket).open("rb") as file,
        ):
            bucket.load_bytecode(file)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Keep what was compiled, in one step, where that is possible."""
        with contextlib.suppress(OSError):
            number, temporary = tempfile.mkstemp(dir=self._folder)
            try:
                with os.fdopen(number, "wb") as file:
                    bucket.write_bytecode(file)
                Path(temporary).replace(self._file(bucket))
            except OSError:
                Path(temporary).unlink(missing_ok=True)
                raise

    def _file(self, bucket: Bucket) -> Path:
        return self._folder / bucket.key


def compiled_templates() -> CompiledTemplates | None:
    """The cache of this user, this Jinja and this Python; None where there can be none."""
    kind = hashlib.sha256(f"{jinja2.__version__} {sys.version}".encode()).hexdigest()[:12]
    try:
        folder = cache_folder() / f"templates-{kind}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except (OSError, RuntimeError):
        return None
    others = stat.S_IWGRP | stat.S_IWOTH
    safe = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & others
    return CompiledTemplates(folder) if safe else None
