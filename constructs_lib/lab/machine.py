"""One machine of a lab: its root over the shared image, its cloud-init seed, its life by systemd-nspawn."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from constructs_lib.components.model import SystemUser
from constructs_lib.errors import LabError
from constructs_lib.lab.cgroups import Cgroups
from constructs_lib.lab.commands import SEARCH, bounded, run, try_run, which
from constructs_lib.lab.disks import Disk, new_disk
from constructs_lib.lab.network import namespace

GIB = 2**30
ROOT_DISK, DATA_DISK = 6 * GIB, 2 * GIB
"""Sparse: they take room only for what is written."""
REBOOT_ASKED = 133
"""How systemd-nspawn ends when the machine asked for a reboot (with --keep-unit)."""
START_SECONDS, STOP_SECONDS = 180, 90
UNMOUNT_SECONDS = 20
ENVIRONMENT = (
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/root",
    "LANG=C.UTF-8",
)


@dataclass(frozen=True, kw_only=True)
class Done:
    """What a command in a machine said."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What a machine is born with."""

    name: str
    address: IPv4Address
    role: str
    user_data: str
    secrets: Mapping[str, str]
    """Name → value, what the platform's secret store would hand to this machine."""
    volume: str | None
    """The platform's id of the data volume."""
    apt_source: str
    users: tuple[SystemUser, ...] = ()
    """Accounts of fixed uid, of which the image's packages may have made some already."""


FORGET_ACCOUNT = """
old=$(id -u "$1" 2>/dev/null) || exit 0
find /etc /var -xdev -uid "$old" -exec chown -h "$2:$2" {} +
userdel "$1"
! getent group "$1" >/dev/null || groupdel "$1"
"""
"""On a cloud the node makes the account first, and the package that is installed then keeps it. Were it here
before, the admin's account would get the number after it, which another component may need."""


@dataclass
class Machine:
    """A machine that may be on or off; its root disk lasts until `remove`, its data volume longer."""

    identity: Identity
    folder: Path
    layers: str
    """The shared root file systems, each read-only, what is nearest first."""
    cgroups: Cgroups
    binds: tuple[str, ...] = ()
    """Further --bind options of systemd-nspawn."""
    data: Disk | None = None
    births: int = 0
    _root: Disk | None = None
    _nspawn: subprocess.Popen[bytes] | None = None
    _keeper: threading.Thread | None = None
    _wanted: bool = False
    _started: float = field(default_factory=time.monotonic)

    @property
    def name(self) -> str:
        """The node's name."""
        return self.identity.name

    @property
    def root(self) -> Path:
        """The machine's file system, seen from the lab."""
        return self.folder / "root"

    def create(self) -> None:
        """A root disk of its own over the image, an empty data volume where it needs one and has none."""
        self.births += 1
        for name in ("disk", "root", "secrets"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._root = new_disk(self.folder, ROOT_DISK)
        run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,nodiscard", self._root.path)
        disk = self.folder / "disk"
        run("mount", "-o", "noatime", self._root.path, disk)
        for name in ("upper", "work", "docker"):
            (disk / name).mkdir()
        layers = f"lowerdir={self.layers},upperdir={disk}/upper,workdir={disk}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        if self.identity.volume and self.data is None:
            self.data = new_disk(self.folder, DATA_DISK)
        self._seed()

    def _seed(self) -> None:
        """What a cloud hands to the machine: user data, its name, its secrets, where packages come from."""
        me = self.identity
        seed = self.root / "var/lib/cloud/seed/nocloud"
        seed.mkdir(parents=True)
        (seed / "user-data").write_bytes(gzip.compress(me.user_data.encode(), mtime=0))
        (seed / "meta-data").write_text(
            f"instance-id: i-{me.name}-{self.births}\nlocal-hostname: {me.name}\n"
        )
        (self.root / "etc/apt/sources.list").write_text(me.apt_source)
        if me.volume:
            (self.root / "etc/lab-volume").write_text(me.volume + "\n")
        for user in me.users:
            run("chroot", self.root, "sh", "-c", FORGET_ACCOUNT, "sh", user.name, str(user.uid))
        self.hand_out(me.secrets)

    def hand_out(self, secrets: Mapping[str, str]) -> None:
        """What the machine gets from now on when it asks for a secret."""
        folder = self.folder / "secrets"
        folder.chmod(0o700)
        # Each in one step: the machine may ask just now.
        for name, value in secrets.items():
            fresh = self.folder / "secret"
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                file.write(value)
            fresh.replace(folder / name)
        for old in folder.iterdir():
            if old.name not in secrets:
                old.unlink()

    def start(self) -> None:
        """Power on, and return when systemd runs; LabError where it is on already, or does not start."""
        if self._keeper and self._keeper.is_alive():
            raise LabError(f"{self.name} is on")
        self._wanted, self._started = True, time.monotonic()
        self._keeper = threading.Thread(target=self._live, name=self.name, daemon=True)
        self._keeper.start()
        end = time.monotonic() + START_SECONDS
        while not self._runs_systemd():
            if not self._keeper.is_alive() or time.monotonic() > end:
                said = (self.folder / "console.log").read_text(errors="replace").strip().splitlines()[-3:]
                raise LabError(f"{self.name}: did not start within {START_SECONDS} s: {' | '.join(said)}")
            time.sleep(0.05)

    def _runs_systemd(self) -> bool:
        leader = self.leader()
        try:
            return leader is not None and Path(f"/proc/{leader}/comm").read_text().strip() == "systemd"
        except OSError:
            return False

    def _live(self) -> None:
        """Runs the machine until it is off; a reboot that was asked for inside starts it again."""
        while self._wanted:
            groups = [str(group / "cgroup.procs") for group in self.cgroups.make(self.name)]
            enter = 'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ >"$1"; shift; n=$((n-1)); done; exec "$@"'
            shell = ["sh", "-c", enter, "lab", str(len(groups)), *groups]
            with (self.folder / "console.log").open("ab") as console:
                self._nspawn = subprocess.Popen(
                    [*shell, *self._command()],
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    start_new_session=True,
                    env={"PATH": SEARCH, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},
                )
                code = self._nspawn.wait()
                console.write(f"systemd-nspawn ended with {code}\n".encode())
            self._wanted = self._wanted and code == REBOOT_ASKED
        self._nspawn = None

    def _command(self) -> list[str]:
        volume = [f"--bind={self.data.path}:/dev/vdb"] if self.data else []
        return [
            which("systemd-nspawn") or "systemd-nspawn",
            "--quiet",
            f"--directory={self.root}",
            f"--machine={self.name}",
            "--register=no",
            "--keep-unit",
            f"--network-namespace-path=/run/netns/{namespace(self.name)}",
            "--resolv-conf=off",
            "--timezone=off",
            "--link-journal=no",
            "--console=pipe",
            "--kill-signal=SIGRTMIN+3",
            # Not =all: with CAP_SYS_TIME chronyd would set the clock of the machine that runs the lab.
            "--capability=CAP_NET_ADMIN",
            "--system-call-filter=add_key keyctl bpf",
            f"--bind={self.folder}/disk/docker:/var/lib/docker",
            f"--bind-ro={self.folder}/secrets:/srv/lab/secrets",
            *volume,
            *self.binds,
            "/usr/local/sbin/lab-init",
        ]

    def stop(self, seconds: float = STOP_SECONDS) -> bool:
        """Power off as by its button, by force after `seconds`; False where force was needed."""
        process, self._wanted = self._nspawn, False
        if process is None or self._keeper is None:
            return True
        process.send_signal(signal.SIGTERM)
        self._keeper.join(seconds)
        if not self._keeper.is_alive():
            return True
        self.crash()
        return False

    def crash(self) -> None:
        """The power goes, without a word to anything in the machine."""
        self._wanted = False
        end = time.monotonic() + START_SECONDS
        # systemd-nspawn may be gone before what it ran, which still holds the machine's disks.
        while (self._keeper and self._keeper.is_alive()) or self.cgroups.processes(self.name):
            for pid in self.cgroups.processes(self.name):
                kill(pid)
            if time.monotonic() > end:
                raise LabError(f"{self.name}: still there {START_SECONDS} s after its power was cut")
            if self._keeper:
                self._keeper.join(0.2)
            time.sleep(0.02)

    def remove(self, *, keep_data: bool = True) -> None:
        """Destroy the machine that is off: root disk, seed, and the data volume unless it is kept."""
        for place in (self.root, self.folder / "disk"):
            unmount(place)
        if self._root:
            self._root.detach()
        if self.data and not keep_data:
            self.data.detach()
            self.data = None
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def on(self) -> bool:
        """Whether it has power."""
        return self._nspawn is not None

    def leader(self) -> int | None:
        """Its first process, as the lab numbers it; None while there is none."""
        process = self._nspawn
        if process is None:
            return None
        try:
            children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            # While it starts, systemd-nspawn has a child that still is in the namespaces of the lab.
            inside = [pid for pid in children if _pid_namespace(pid) != _pid_namespace("self")]
        except OSError:
            return None
        return int(inside[0]) if inside else None

    def run(self, *command: str, timeout: float = 60, stdin: str | None = None) -> Done:
        """Runs a command in the machine, as root; LabError where it is off.

        Also where it has not ended after `timeout` seconds: then it is ended, and all that it started.
        """
        leader = self.leader()
        if leader is None:
            raise LabError(f"{self.name} is off")
        inside = ["nsenter", "-t", str(leader), "-a", "-r", "-w", "env", "-i", *ENVIRONMENT, *command]
        try:
            done = bounded(inside, timeout=timeout, stdin=stdin)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name}: {_line(command)}: has not ended after {timeout:g} s") from None
        return Done(code=done.returncode, out=done.stdout, err=done.stderr)

    def file(self, path: str) -> Path:
        """The machine's file at `path` while it is on, what it mounted itself included."""
        leader = self.leader()
        return (Path(f"/proc/{leader}/root") if leader else self.root) / path.lstrip("/")


def _pid_namespace(pid: str) -> str:
    return str(Path(f"/proc/{pid}/ns/pid").readlink())


def unmount(place: Path) -> None:
    """Unmount what is mounted there; whoever dies and still has it gets a moment, then only its name goes."""
    end = time.monotonic() + UNMOUNT_SECONDS
    while place.is_mount() and time.monotonic() < end:
        try_run([("umount", place)])
        if place.is_mount():
            time.sleep(0.2)
    if place.is_mount():
        try_run([("umount", "--lazy", place)])


def kill(pid: int) -> None:
    """SIGKILL to a process that may be gone."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _line(command: Sequence[str]) -> str:
    return " ".join(command)[:200]
