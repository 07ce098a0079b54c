"""The process that holds a lab, below PID 1 of a namespace: whatever ends it ends every machine with it.

`launch` starts it as `unshare --pid --mount --kill-child`, and `Connection` talks to it over a socket in the
lab's folder.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from multiprocessing.managers import BaseManager
from pathlib import Path

from constructs_lib.errors import ClusterMesosError, LabError
from constructs_lib.lab.cgroups import remove_leftovers
from constructs_lib.lab.cluster import Lab
from constructs_lib.lab.commands import SEARCH, missing, run
from constructs_lib.lab.image import Image
from constructs_lib.lab.init import continue_as_child
from constructs_lib.lab.overrides import OVERRIDES_FILE, read_overrides
from constructs_lib.lab.own_secrets import own_secrets
from constructs_lib.plan.lock import read_lock
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.build import build
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace

SOCKET = "lab.sock"
LOG = "keeper.log"
LONGEST_SOCKET_PATH = 100
"""Bytes; the kernel takes 108."""
START_SECONDS = 300
END_SECONDS = 300
METHODS = (
    "address",
    "cpu_seconds",
    "crash",
    "cut",
    "destroy",
    "end",
    "grow",
    "hand_out",
    "heal",
    "identity",
    "journals",
    "limit_cpu",
    "mirror",
    "names",
    "reach",
    "rebuild",
    "run",
    "start",
    "states",
    "stop",
    "wait",
    "wait_booted",
)


class KeptLab(Lab):
    """The lab in its keeper, which ends with it."""

    wanted: Callable[[], tuple[SitePlan, Mapping[str, str]]]
    """What cluster.yaml says now, and the secrets of that."""

    def grow(self) -> list[str]:
        """Make the machines that cluster.yaml has beside those here; their names. None is on yet."""
        return self.extend(*self.wanted())

    def end(self) -> None:
        """Take everything away, and end the keeper as soon as this is answered."""
        self.down()
        threading.Timer(0.2, os._exit, (0,)).start()


class _Manager(BaseManager):
    """The server of the one `Lab` object."""


def lab_folder(workspace: Workspace) -> Path:
    """Where a lab of this cluster.yaml keeps its socket and log."""
    return workspace.private / "lab"


def refuse_unable() -> None:
    """LabError with what to do where this machine can't run a lab."""
    reason = missing()
    if reason:
        raise LabError(f"no lab on this machine: {reason}")


def launch(
    workspace: Workspace,
    image: Image,
    *,
    site: str | None = None,
    agents: Mapping[str, int] | None = None,
    overrides: Path = OVERRIDES_FILE,
    tied: bool = False,
    bare: bool = False,
) -> subprocess.Popen[bytes]:
    """Start the lab's keeper, and return when its machines are ready to be started.

    `tied` ends the lab with the process that started it; `bare` boots the same machines with nothing to do,
    for comparison. LabError with the keeper's words when it fails.
    """
    refuse_unable()
    workspace.make_private()
    folder = lab_folder(workspace)
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / SOCKET
    if len(str(path).encode()) > LONGEST_SOCKET_PATH:
        raise LabError(
            f"{path}: longer than {LONGEST_SOCKET_PATH} bytes, too long for a socket; use a shorter folder"
        )
    if connects(path):
        raise LabError(f"a lab runs already in {folder}: clustermesos lab down ends it")
    path.unlink(missing_ok=True)
    doubles = build(folder, images={})
    settings = {
        "doubles": str(doubles),
        "cluster_file": str(workspace.cluster_file.resolve()),
        "site": site,
        "agents": agents,
        "image": str(image.folder),
        "bare_image": image.bare,
        "overrides": str(overrides),
        "tied": tied,
        "bare": bare,
    }
    with (folder / LOG).open("wb") as log:
        process = subprocess.Popen(
            [
                *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *(sys.executable, "-m", "constructs_lib.lab.keeper", json.dumps(settings)),
            ],
            stdin=subprocess.PIPE if tied else subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PATH": SEARCH},
        )
    _until_ready(process, path, folder / LOG)
    return process


def _until_ready(process: subprocess.Popen[bytes], path: Path, log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while not connects(path):
        if process.poll() is not None:
            said = log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
            raise LabError(f"the lab did not start: {said[-1]} (all of it: {log})")
        if time.monotonic() > end:
            process.kill()
            raise LabError(f"the lab was not ready after {START_SECONDS} s; what it did: {log}")
        time.sleep(0.1)


def connects(path: Path) -> bool:
    """Whether somebody listens on the socket."""
    import socket

    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def connect(workspace: Workspace) -> KeptLab:
    """The running lab of this cluster.yaml, to be used as if it were here; LabError where none runs."""
    path = lab_folder(workspace) / SOCKET
    if not connects(path):
        raise LabError(f"no lab runs for {workspace.cluster_file}: clustermesos lab up starts one")
    manager = _Manager(address=str(path), authkey=_key(path.parent))
    _Manager.register("lab", exposed=METHODS)
    manager.connect()
    lab: KeptLab = manager.lab()  # type: ignore[attr-defined]  # registered above
    return lab


def end(workspace: Workspace, process: subprocess.Popen[bytes] | None = None) -> None:
    """Stop the lab and take away what it made; LabError where none runs."""
    folder = lab_folder(workspace)
    connect(workspace).end()
    limit = time.monotonic() + END_SECONDS
    while connects(folder / SOCKET):
        if time.monotonic() > limit:
            raise LabError(f"the lab did not end within {END_SECONDS} s; what it did: {folder / LOG}")
        time.sleep(0.1)
    if process:
        process.wait(END_SECONDS)
        if process.stdin:
            process.stdin.close()
    shutil.rmtree(folder, ignore_errors=True)


def _key(folder: Path) -> bytes:
    return (folder / "key").read_bytes()


def _serve(settings: Mapping[str, object]) -> None:
    """What the keeper does: build the lab, then answer until it is down."""
    os.umask(0o022)
    workspace = Workspace(Path(str(settings["cluster_file"])))
    folder = lab_folder(workspace)
    # Whatever nspawn and ip leave there belongs to this namespace alone.
    for place in ("/run/netns", "/run/systemd/nspawn"):
        Path(place).mkdir(parents=True, exist_ok=True)
        run("mount", "-t", "tmpfs", "tmpfs", place)
    remove_leftovers()
    lab = _lab(workspace, settings)
    lab.prepare()
    key = folder / "key"
    key.unlink(missing_ok=True)
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(os.urandom(32))
    _Manager.register("lab", callable=lambda: lab, exposed=METHODS)
    server = _Manager(address=str(folder / SOCKET), authkey=key.read_bytes()).get_server()
    server.serve_forever()


def _lab(workspace: Workspace, settings: Mapping[str, object]) -> KeptLab:
    overrides = read_overrides(Path(str(settings["overrides"])))
    agents = settings["agents"]
    if agents is not None and not isinstance(agents, Mapping):
        raise LabError(f"agents: got {agents!r}, expected numbers by pool")
    folder = lab_folder(workspace)

    def wanted() -> tuple[SitePlan, Mapping[str, str]]:
        planned = plan(overrides.apply(load(workspace.cluster_file)), read_lock(workspace.lock_file))
        site = planned.site(str(settings["site"])) if settings["site"] else next(iter(planned.sites.values()))
        return site, own_secrets(planned.secrets, folder / "secrets.json")

    site, secrets = wanted()
    lab = KeptLab(
        site,
        overrides,
        secrets,
        folder,
        Image(Path(str(settings["image"])), bare=bool(settings["bare_image"])),
        doubles=Path(str(settings["doubles"])),
        agents=agents,
        bare=bool(settings["bare"]),
    )
    lab.wanted = wanted
    return lab


def _end_with_parent() -> None:
    """The other end of standard input is the process that wanted the lab."""
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGKILL)
    os._exit(1)


def main() -> int:
    """Run as PID 1 of the lab's namespace."""
    continue_as_child()
    settings = json.loads(sys.argv[1])
    if settings["tied"]:
        threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    try:
        _serve(settings)
    except ClusterMesosError as error:
        print(error, file=sys.stderr)  # noqa: T201 - the keeper's log is its standard error
        return 1
    return 0


if __name__ == "__main__":
    code = 1
    try:
        code = main()
    except Exception:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        # Threads of machines would be waited for, and the one that reads standard input never ends.
        os._exit(code)
