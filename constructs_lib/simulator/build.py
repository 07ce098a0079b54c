"""`python -m constructs_lib.simulator.build OUT`: what a lab node needs of the doubles, below `OUT/rootfs`.

=============================================  ==========================================================
below `OUT/rootfs`                             what
=============================================  ==========================================================
`usr/bin/PROGRAM`, for all five programs       zipapp for the node's own Python 3.11 or later, or the real
                                               program; the two of Mesos are in `usr/sbin` as well
`usr/bin/mesos-init-wrapper`                   starts mesos-master and mesos-agent by the package's rules
`usr/lib/systemd/system/mesos-*.service`,      what else the package brings
`etc/default/mesos*`, `etc/mesos/zk`
`usr/sbin/double-image`                        `double-image PROGRAM IMAGE` makes an image of marathon,
                                               chronos or registrator from the node's own Python;
                                               `double-image --missing` makes all those of the list that
                                               Docker does not have
`etc/clustermesos-doubles/images`              that list: a program and an image a line
`usr/lib/systemd/system/docker.service.d/`     runs `double-image --missing` once Docker has started, so
`clustermesos-doubles.conf`                    that `docker run` never looks for a registry
=============================================  ==========================================================

The tree is laid over a node's root with its modes; all belongs to root. A second build into the same `OUT`
replaces it. Equal sources make equal bytes, so that `OUT` can be cached by its content.
"""

from __future__ import annotations

import argparse
import importlib.util
import marshal
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import ContainerImage
from constructs_lib.errors import ClusterMesosError, ToolError
from constructs_lib.simulator.programs import IMAGES, Program, programs

HERE = Path(__file__).parent
NODE = HERE / "node"
SHEBANG = b"#!/usr/bin/python3 -I\n"
_LIBRARY = HERE.parent
_NOT_ON_NODES = {"build.py", "programs.py"}
_MAIN = """import sys
from constructs_lib.simulator.{module} import {function}
sys.exit({call})
"""
_DEFAULTS = {
    "mesos": 'LOGS=/var/log/mesos\nULIMIT="-n 16384"\n',
    "mesos-master": "PORT=5050\nZK=$(cat /etc/mesos/zk)\n",
    "mesos-agent": "MASTER=$(cat /etc/mesos/zk)\n",
}
_AFTER_DOCKER = "[Service]\nExecStartPost=-/usr/sbin/double-image --missing\n"


def build(
    out: Path, images: Mapping[str, str] | None = None, environ: Mapping[str, str] = os.environ
) -> Path:
    """Make `out`/rootfs and give it back.

    Args:
        out: a folder, made where it is missing; `rootfs` in it is replaced.
        images: program → image reference that nodes run it from; without it, the components' own.
        environ: where `CLUSTERMESOS_REAL` may be.

    Raises:
        ToolError: kazoo is not installed, a real program is none, or `out` can't be written.
    """
    found = programs(environ)
    root = out / "rootfs"
    fresh = out / f".rootfs-{os.getpid()}"
    try:
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        for program in found:
            _put_program(fresh, program)
        _put_package(fresh)
        _put_images(fresh, default_images() if images is None else images)
        shutil.rmtree(root, ignore_errors=True)
        fresh.replace(root)
    except OSError as error:
        raise ToolError(f"{error.filename or out}: can't be written: {error.strerror}") from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
    return root


def default_images() -> dict[str, str]:
    """Program → image of the components' own declarations."""
    found = {}
    for component in COMPONENTS:
        if component.name in IMAGES and isinstance(component.software, ContainerImage):
            found[component.name] = f"{component.software.name}:{component.software.version}"
    return found


def _put_program(root: Path, program: Program) -> None:
    real = program.real
    content = zipapp(program.name) if real is None or program.is_image else real.read_bytes()
    if real is not None and program.is_image:
        archive = f"usr/lib/clustermesos-doubles/{program.name}.tar"
        _put(root, archive, b"")
        shutil.copyfile(real, root / archive)
    _put(root, f"usr/bin/{program.name}", content, 0o755)
    if program.name not in IMAGES:
        _put(root, f"usr/sbin/{program.name}", content, 0o755)


def _put_package(root: Path) -> None:
    _put(root, "usr/bin/mesos-init-wrapper", (NODE / "mesos-init-wrapper").read_bytes(), 0o755)
    for unit in ("mesos-master.service", "mesos-agent.service"):
        _put(root, f"usr/lib/systemd/system/{unit}", (NODE / unit).read_bytes())
    for name, text in _DEFAULTS.items():
        _put(root, f"etc/default/{name}", text.encode())
    _put(root, "etc/mesos/zk", b"zk://localhost:2181/mesos\n")


def _put_images(root: Path, images: Mapping[str, str]) -> None:
    unknown = sorted(set(images) - set(IMAGES))
    if unknown:
        raise ToolError(f"got an image for {', '.join(unknown)}, expected one of {', '.join(IMAGES)}")
    lines = "".join(f"{program} {image}\n" for program, image in images.items())
    _put(root, "etc/clustermesos-doubles/images", lines.encode())
    _put(root, "usr/sbin/double-image", _archive("image", "main", "main()"), 0o755)
    _put(root, "usr/lib/systemd/system/docker.service.d/clustermesos-doubles.conf", _AFTER_DOCKER.encode())


def _put(root: Path, path: str, content: bytes, mode: int = 0o644) -> None:
    file = root / path
    for folder in reversed(file.relative_to(root).parents):
        # Laid over a node's root, a folder's mode hides that of the one below it.
        (root / folder).mkdir(exist_ok=True)
        (root / folder).chmod(0o755)
    file.write_bytes(content)
    file.chmod(mode)


def zipapp(program: str) -> bytes:
    """The double of `program` as one executable file."""
    return _archive("__main__", "run_double", f"run_double({program!r})")


def _archive(module: str, function: str, call: str) -> bytes:
    target = BytesIO()
    target.write(SHEBANG)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        main = _MAIN.format(module=module, function=function, call=call)
        files = {"__main__.py": main.encode()} | {name: file.read_bytes() for name, file in _sources()}
        files |= {f"{name}c": _compiled(name, text) for name, text in files.items() if name.endswith(".py")}
        for name in sorted(files):
            # The time of a file must not make another program of it.
            archive.writestr(zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0)), files[name], zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _compiled(name: str, source: bytes) -> bytes:
    """A .pyc, which this very version of Python takes instead of compiling the source at each start.

    It names its source by a hash that is not looked at again (PEP 552), and is marshalled without references,
    which would be other ones each time.
    """
    unchecked = (1).to_bytes(4, "little")
    code = marshal.dumps(compile(source, name, "exec", dont_inherit=True), 2)
    return importlib.util.MAGIC_NUMBER + unchecked + importlib.util.source_hash(source) + code


def _sources() -> Iterator[tuple[str, Path]]:
    yield "constructs_lib/__init__.py", _LIBRARY / "__init__.py"
    for file in [*HERE.glob("*.py"), *HERE.glob("*.txt")]:
        if file.name not in _NOT_ON_NODES:
            yield f"constructs_lib/simulator/{file.name}", file
    for file in (_LIBRARY / "components" / "flags").glob("*.json"):
        yield f"constructs_lib/components/flags/{file.name}", file
    kazoo = importlib.util.find_spec("kazoo")
    if kazoo is None or kazoo.origin is None:
        raise ToolError("kazoo, which speaks to ZooKeeper, is missing: pip install clustermesos[simulator]")
    folder = Path(kazoo.origin).parent
    for file in folder.rglob("*.py"):
        name = file.relative_to(folder)
        if name.parts[0] not in ("tests", "testing"):
            yield f"kazoo/{name.as_posix()}", file


def main(arguments: list[str]) -> int:
    """The command; exit code 1 with one line on standard error when it could not be done."""
    parser = argparse.ArgumentParser(
        prog="python -m constructs_lib.simulator.build", description=__doc__.split("\n")[0]
    )
    parser.add_argument("out", type=Path, help="folder for rootfs/")
    parser.add_argument(
        "--image",
        action="append",
        default=[],
        metavar="PROGRAM=REFERENCE",
        help="instead of the components' own",
    )
    options = parser.parse_args(arguments)
    pairs = [text.partition("=") for text in options.image]
    try:
        root = build(options.out, {name: image for name, _, image in pairs} or None)
        lines = [program.line for program in programs()]
    except ClusterMesosError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write("\n".join([f"{root}", *lines]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
