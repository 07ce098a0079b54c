"""The image that all machines boot: Debian by mmdebstrap, tailored, as one squashfs in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from constructs_lib.errors import LabError
from constructs_lib.lab.commands import run
from constructs_lib.spec.workspace import cache_folder

SUITE = "bookworm"
ARCHIVE = "http://deb.debian.org/debian"
OWN_SOURCES = Path("/etc/apt/sources.list.d/debian.sources")
FILES = Path(__file__).with_name("image")
FORMAT = "2"
"""Raised when what is built changes although the files in `image/` do not."""
LONGEST_BUILD = 1800
WHOLE, BARE = "root.sqfs", "bare.sqfs"
OF_COMPONENTS = "# What components install"
"""Begins the part of packages.txt that a cloud's image does not have."""
OPTIONS = (
    "--variant=minbase",
    "--skip=download/empty",
    "--skip=essential/unlink",
    '--aptopt=Acquire::Languages "none"',
    '--aptopt=APT::Install-Recommends "false"',
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=force-unsafe-io",
)


@dataclass(frozen=True)
class Image:
    """What was built: `root`, a squashfs, and `packages`, a flat apt repository of all that is in it.

    A bare one has of these packages what a cloud's image has: what components install comes by apt.
    """

    folder: Path
    bare: bool = False

    @property
    def root(self) -> Path:
        """The machines' root file system."""
        return self.folder / (BARE if self.bare else WHOLE)

    @property
    def packages(self) -> Path:
        """What the lab's package mirror serves."""
        return self.folder / "packages"


def image(say: Callable[[str], None] = lambda _: None, *, bare: bool = False) -> Image:
    """The image for this version of `image/`, built where the cache lacks it (3 minutes, 1.5 GB of room).

    A bare one is built from what the whole one has downloaded (1 minute, 0.1 GB more).
    """
    folder = cache_folder() / f"lab-image-{_key()}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock")):
        if not (folder / ".complete").exists():
            say("building the image of the lab's machines: about 3 minutes, once")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            _build(folder)
            (folder / ".complete").touch()
            _forget_former(folder)
        if bare and not (folder / BARE).exists():
            say("building the bare image of the lab's machines: about a minute, once")
            _build_bare(folder)
    return Image(folder, bare=bare)


def package_names(*, bare: bool = False) -> tuple[str, ...]:
    """The packages of packages.txt; for a bare image without what components install."""
    names, wanted = [], True
    for line in (FILES / "packages.txt").read_text().splitlines():
        if line.startswith("#"):
            wanted = not (bare and line.startswith(OF_COMPONENTS))
        elif wanted and line.strip():
            names.append(line.strip())
    return tuple(names)


def _key() -> str:
    digest = hashlib.sha256("\0".join((FORMAT, SUITE, *OPTIONS)).encode())
    for path in sorted(FILES.iterdir()):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(folder: Path) -> None:
    packages = folder / "packages"
    packages.mkdir()
    source = str(OWN_SOURCES) if SUITE in _text(OWN_SOURCES) else ARCHIVE
    keep = f"--customize-hook=sync-out /var/cache/apt/archives {packages}"
    _system(folder / WHOLE, package_names(), SUITE, source, keep)
    _index(packages)


def _build_bare(folder: Path) -> None:
    # A flat repository has no suite, and does not know of apt that every system has it.
    names = ("apt", *package_names(bare=True))
    _system(folder / BARE, names, "", f"deb [trusted=yes] copy:{folder / 'packages'} ./")


def _system(image: Path, names: Iterable[str], suite: str, source: str, *hooks: str) -> None:
    """A squashfs of a machine with these packages."""
    with tempfile.TemporaryDirectory(dir=image.parent, prefix="root-") as scratch:
        root, unfinished = Path(scratch) / "root", Path(scratch) / "image"
        run(
            "mmdebstrap",
            *OPTIONS,
            # The JRE's installation fails without the empty folder of manual pages.
            '--setup-hook=mkdir -p "$1"/usr/share/man/man1',
            *hooks,
            '--customize-hook=rm -f "$1"/var/cache/apt/archives/*.deb "$1"/var/cache/apt/*.bin',
            f'--customize-hook={FILES / "tailor.sh"} "$1"',
            f"--include={','.join(names)}",
            suite,
            root,
            source,
            timeout=LONGEST_BUILD,
        )
        squash = ("-comp", "zstd", "-Xcompression-level", "3", "-noappend", "-no-progress", "-quiet")
        run("mksquashfs", root, unfinished, *squash, timeout=LONGEST_BUILD)
        unfinished.rename(image)


def _index(packages: Path) -> None:
    for name in ("lock", "partial"):
        path = packages / name
        path.unlink() if path.is_file() else shutil.rmtree(path, ignore_errors=True)
    index = run("sh", "-c", 'cd "$1" && exec dpkg-scanpackages --multiversion .', "sh", packages, timeout=600)
    (packages / "Packages").write_text(index, encoding="utf-8")


def _forget_former(current: Path) -> None:
    """Images of other versions, but the newest: each takes 0.8 GB."""
    former = [path for path in current.parent.glob("lab-image-*") if path.is_dir() and path != current]
    for path in sorted(former, key=lambda path: path.stat().st_mtime)[:-1]:
        shutil.rmtree(path, ignore_errors=True)


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One build at a time on this machine."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LabError(f"{path}: can't be written: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
