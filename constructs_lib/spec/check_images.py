"""What an image that comes from a file has to say, on every platform."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from constructs_lib.spec.findings import Finding, Path

if TYPE_CHECKING:
    from constructs_lib.spec.model import ImageSpec


def one_source(path: Path, image: ImageSpec) -> Iterator[Finding]:
    """A finding at `path` unless the image has either `url` or `path`."""
    if image.url and image.path:
        yield Finding((*path, "path"), f"got {image.path} beside url, expected one or the other")
    elif not image.url and not image.path:
        yield Finding(path, "got neither url nor path, expected one of them beside sha256")
