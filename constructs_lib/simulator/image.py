"""Images of marathon, chronos and registrator for a lab node, made from the node's own Python.

`double-image PROGRAM IMAGE` makes one, `double-image --missing` those of /etc/clustermesos-doubles/images
that Docker lacks, and `double-image --rootfs PROGRAM` writes the root file system for `docker import`.
Nothing is downloaded: the image holds this Python, its standard library and the C libraries that they need.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO

LIST = Path("/etc/clustermesos-doubles/images")
PROGRAMS = Path("/usr/bin")
ARCHIVES = Path("/usr/lib/clustermesos-doubles")
_LEFT_OUT = frozenset(
    (
        *(
            "test",
            "tests",
            "idlelib",
            "tkinter",
            "turtledemo",
            "lib2to3",
            "ensurepip",
            "pydoc_data",
            "distutils",
        ),
        *("site-packages", "dist-packages", "unittest", "sqlite3", "curses", "dbm", "venv", "wsgiref"),
    )
)
_EXTENSIONS_LEFT_OUT = (
    "_test",
    "_codecs_",
    "_ctypes_test",
    "_tkinter",
    "_curses",
    "_sqlite3",
    "_dbm",
    "_gdbm",
    "xx",
)
_LIBRARY = re.compile(r"(?:=> )?(/\S+) \(0x")


@dataclass(frozen=True)
class Entry:
    """Where an image has its program, and as whom it runs."""

    path: str
    user: str


ENTRIES = {
    "marathon": Entry("/marathon/bin/marathon", "nobody"),
    "chronos": Entry("/chronos/bin/start.sh", "root"),
    "registrator": Entry("/bin/registrator", "root"),
}
"""As in the real images."""


def write_rootfs(program: str, target: IO[bytes], content: bytes) -> None:
    """The root file system of the image of `program`, whose zipapp is `content`, as a tar."""
    with tarfile.open(fileobj=target, mode="w|") as tar:
        python = Path(sys.executable).resolve()
        _add_text(tar, "etc/passwd", "root:x:0:0::/root:/bin/false\nnobody:x:65534:65534::/tmp:/bin/false\n")
        _add_text(tar, "etc/group", "root:x:0:\nnobody:x:65534:\n")
        _add_folder(tar, "tmp", 0o1777)
        for file in _python(python):
            _add_file(tar, file)
        if str(python) != "/usr/bin/python3":
            link = tarfile.TarInfo("usr/bin/python3")
            link.type, link.linkname = tarfile.SYMTYPE, str(python)
            tar.addfile(link)
        _add_bytes(tar, ENTRIES[program].path.lstrip("/"), content, 0o755)


def _python(python: Path) -> Iterator[Path]:
    library = Path(sysconfig.get_path("stdlib"))
    files = [file for file in sorted(library.rglob("*")) if file.is_file() and _is_needed(file, library)]
    yield python
    yield from files
    yield from _libraries([python, *(file for file in files if ".so" in file.name)])


def _is_needed(file: Path, library: Path) -> bool:
    parts = file.relative_to(library).parts
    if _LEFT_OUT & set(parts) or parts[0].startswith("config-") or file.suffix == ".a":
        return False
    return ".opt-" not in file.name and not (
        ".so" in file.name and file.name.startswith(_EXTENSIONS_LEFT_OUT)
    )


def _libraries(programs: Iterable[Path]) -> list[Path]:
    """The C libraries of `programs`, by the paths at which the loader looks for them."""
    command = ["ldd", *map(str, programs)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stdout
    return sorted({Path(found) for found in _LIBRARY.findall(said)})


def _add_file(tar: tarfile.TarFile, file: Path) -> None:
    _add_bytes(tar, str(file).lstrip("/"), file.read_bytes(), file.stat().st_mode & 0o755)


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    _add_bytes(tar, name, text.encode(), 0o644)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, BytesIO(content))


def _add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    tar.addfile(entry)


def make_image(program: str, image: str) -> None:
    """Put the image of `program` into Docker as `image`; a real one is loaded from its archive.

    Raises:
        OSError: Docker did not take it; the text says why.
    """
    archive = ARCHIVES / f"{program}.tar"
    if archive.exists():
        said = _docker("load", "--quiet", "--input", str(archive))
        _docker("tag", said.rsplit(": ", 1)[-1].strip(), image)
        return
    entry = ENTRIES[program]
    changes = (
        f'ENTRYPOINT ["{entry.path}"]',
        f"USER {entry.user}",
        "LABEL clustermesos.double=" + program,
        "ENV PATH=/usr/bin:/bin",
    )
    command = ["docker", "import", *(f"--change={change}" for change in changes), "-", image]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as docker:
        assert docker.stdin is not None
        write_rootfs(program, docker.stdin, (PROGRAMS / program).read_bytes())
        docker.stdin.close()
    if docker.returncode != 0:
        raise OSError(f"docker import of {image} ended with {docker.returncode}")


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise OSError(f"docker {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def _missing() -> Iterator[tuple[str, str]]:
    for line in LIST.read_text().splitlines():
        program, image = line.split()
        command = ["docker", "image", "inspect", image]
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
        if done.returncode != 0:
            yield program, image


def main() -> int:
    """The program `double-image`."""
    words = sys.argv[1:]
    try:
        if words == ["--missing"]:
            for program, image in _missing():
                make_image(program, image)
        elif len(words) == 2 and words[0] == "--rootfs" and words[1] in ENTRIES:
            write_rootfs(words[1], sys.stdout.buffer, (PROGRAMS / words[1]).read_bytes())
        elif len(words) == 2 and words[0] in ENTRIES:
            make_image(*words)
        else:
            names = ",".join(ENTRIES)
            sys.stderr.write(f"usage: double-image --missing | --rootfs {{{names}}} | {{{names}}} IMAGE\n")
            return 2
    except OSError as error:
        sys.stderr.write(f"double-image: {error}\n")
        return 1
    return 0
