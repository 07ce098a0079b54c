"""Makes this node what its generation says. Safe to repeat: after a crash, run it again.

first-boot and apply take /var/lib/clustermesos/incoming, if there is one; boot keeps the secrets that are
here, and is a first boot while nothing was applied; rollback goes back to the generation that was applied
before; status and health print JSON. A generation is a manifest.json and files/; former ones stay in
/var/lib/clustermesos/generations.
--root FOLDER stands for /, --patience SECONDS is what no wait may exceed, --brief is health in one line.
Exit codes: 0 as wanted, 1 a step failed, 2 wrong call or generation, 3 a component is not healthy.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import pwd
import shlex
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clustermesos_disk import Disk, ids, own, placed, read_manifest
from clustermesos_generations import back, take
from clustermesos_health import is_active, outcomes
from clustermesos_node import UNHEALTHY, WRONG, Failure, ask, run, say, told, until
from clustermesos_packages import install_all, installed, other_versions
from clustermesos_policy import start_late
from clustermesos_units import enable, exists, systemctl
from clustermesos_volume import use_volume

if TYPE_CHECKING:
    from clustermesos_disk import Entry

KEPT = 5
FIREWALL = "clustermesos-firewall.service"
FIREWALL_FILES = (
    "/etc/clustermesos/firewall.nft",
    "/etc/clustermesos/firewall-closed.nft",
    f"/etc/systemd/system/{FIREWALL}",
)
# In pieces: this program is one of the files in which they are replaced.
NAME, ADDRESS = (b"@@node:" + what + b"@@" for what in (b"name", b"address"))


class Apply:
    """One run: the steps in order, each of which does nothing where nothing is to be done."""

    def __init__(self, disk: Disk, number: int, *, patience: int, boot: bool, lenient: bool) -> None:
        self.disk, self.number, self.patience = disk, number, patience
        self.boot, self.lenient = boot, lenient
        self.manifest = read_manifest(disk.folder(number))
        self.files = disk.folder(number) / "files"
        self.others = disk.owned(beside=number)
        self.pending = disk.noted("pending", {"restarts": [], "reloads": []})

    def everything(self) -> None:
        other, reason = "", ""
        self.preflight("early")
        for user in self.manifest["users"]:
            add_user(user["name"], user["uid"])
        if self.disk.pointer("applied") is None:
            self.firewall()
        try:
            self.install(self.manifest["packages"])
        except Failure as failure:
            self.pass_over(failure)
            other, reason = other_versions(self.manifest), str(failure)
        volume = self.manifest["volume"]
        if volume:
            use_volume(self.disk, volume["id"], volume["mount"], min(300, self.patience))
        for entry in self.manifest["directories"]:
            self.directory(entry)
        self.contents(first=True)
        self.secrets()
        self.contents(first=False)
        self.retire()
        self.stale()
        self.start()
        if other and self.disk.pointer("applied") != self.number:
            raise Failure(f"all else is in place, but {other}: {reason}")
        self.disk.point("applied", self.number)
        kept = (*self.disk.numbers()[-KEPT:], self.number, self.disk.former(self.number))
        for number in self.disk.numbers():
            if number not in kept:
                shutil.rmtree(self.disk.folder(number))

    def install(self, packages: list[Entry]) -> None:
        wanted = self.manifest | {"packages": packages}
        self.wait(60 if self.lenient else 1800, 10, install_all, self.disk, wanted)

    def firewall(self) -> None:
        """Before anything that may listen is installed, for a boot that comes before all is in place, too."""
        entries = [entry for entry in self.manifest["files"] if entry["path"] in FIREWALL_FILES]
        if entries:
            # Where an image has it, a second look through all packages would only cost time.
            if not installed("nftables"):
                self.install([{"names": ["nftables"]}])
            for entry in entries:
                self.content(entry)
            run("systemctl", "daemon-reload")
            self.bring_up(FIREWALL)

    def preflight(self, when: str) -> None:
        """What the machine lacks ends a run early."""
        script = self.files / "usr/local/sbin/clustermesos-preflight"
        if script.exists():
            try:
                for line in self.wait(120, 5, run, "sh", str(script), when).splitlines():
                    say(line)
            except Failure as failure:
                self.pass_over(failure)

    def pass_over(self, failure: Failure) -> None:
        """Only said by a reboot and on the way back: what ran before goes on as well as it can."""
        if not self.lenient:
            raise failure
        say(str(failure))

    def wait(self, seconds: int, pause: float, *attempt: Any) -> Any:
        return until(min(seconds, self.patience), pause, *attempt)

    def directory(self, entry: Entry) -> None:
        path = self.disk.at(entry["path"])
        try:
            path.mkdir(parents=True, exist_ok=True)
            own(path, int(entry["mode"], 8), *ids(entry["owner"]))
        except OSError as error:
            raise Failure(f"cannot make {entry['path']}: {error.strerror}") from None

    def secrets(self) -> None:
        """Before what reads them is told to; a reboot must work while their source is out of reach."""
        for entry in self.manifest["secrets"]:
            if not (self.boot and self.disk.at(entry["path"]).exists()):
                value = self.wait(300, 5, self.fetch, entry["name"])
                self.place(
                    entry, value + b"\n" * entry.get("newline", False), int(entry.get("mode", "600"), 8)
                )

    def fetch(self, name: str) -> bytes:
        command = shlex.split(self.manifest["secret_command"])
        done = ask(*command, name, seconds=60, text=False)
        value: bytes = b"" if done.returncode else done.stdout.rstrip(b"\r\n")
        # Brought by hand; of use until the source has another value than it had then.
        given = self.disk.noted("given", {}).get(name)
        if given and (not value or given["replaces"] == hashlib.sha256(value).hexdigest()):
            return bytes(given["value"], "utf-8")
        # Never what it printed: that may be a part of the value.
        if not value:
            raise Failure(f"secret {name}: {command[0]} ended with {done.returncode} and gave no value")
        return value

    def contents(self, *, first: bool) -> None:
        """`first` are the files that fetching secrets needs."""
        for entry in self.manifest["files"]:
            if entry.get("first", False) == first:
                self.content(entry)

    def content(self, entry: Entry) -> None:
        content = (self.files / entry["path"].lstrip("/")).read_bytes()
        if NAME in content or ADDRESS in content:
            name, address = self.wait(60, 2, who_am_i)
            content = content.replace(NAME, name).replace(ADDRESS, address)
        self.place(entry, content, int(entry.get("mode", "644"), 8))

    def place(self, entry: Entry, content: bytes, mode: int) -> None:
        path = entry["path"]
        if self.disk.differs(path, content):
            # Noted before the file changes, so that a crash in between can't lose the restart.
            self.remember(softened(entry, self.disk.at(path), content))
            if path not in self.others:
                self.disk.keep_original(path)
        if self.disk.put(path, content, mode, entry.get("owner", "root")):
            say(f"wrote {path}")

    def remember(self, entry: Entry) -> None:
        for kind, units in self.pending.items():
            if entry.get(kind) and entry[kind] not in units:
                units.append(entry[kind])
        self.disk.note("pending", self.pending)

    def retire(self) -> None:
        """Ends what generations since the applied start and this one does not; its files are still here."""
        kept, since = {*units(self.manifest)}, self.disk.pointer("applied") or 0
        for number in self.disk.numbers():
            if number >= since:
                for unit in reversed(units(read_manifest(self.disk.folder(number)))):
                    # Its file may be a package's, which stays, as that of a template's instance.
                    if unit not in kept and exists(unit):
                        kept.add(unit)
                        run("systemctl", "disable", "--now", unit)
                        say(f"ended {unit}: no longer wanted")

    def stale(self) -> None:
        here = {entry["path"] for entry in placed(self.manifest)}
        for path, entry in self.others.items():
            if path not in here and self.disk.at(path).exists():
                if path.startswith("/etc/systemd/system/") and path.count("/") == 4:
                    run("systemctl", "disable", "--now", path.rsplit("/", 1)[-1])
                else:
                    self.remember(entry)
                self.disk.drop(path)

    def start(self) -> None:
        run("systemctl", "daemon-reload")
        for unit in self.manifest["boot_units"]:
            enable(unit)
        staged = {unit for stage in self.manifest["stages"] for unit in stage["units"]}
        start_late(self.disk, staged)
        for kind, verb in (("restarts", "try-restart"), ("reloads", "try-reload-or-restart")):
            for unit in self.pending[kind]:
                # systemctl fails where there is no such unit, as with one that only some nodes have.
                if unit not in staged and exists(unit):
                    systemctl(verb, unit)
            self.done(kind, {*self.pending[kind]} - staged)
        for stage in self.manifest["stages"]:
            for unit in stage["units"]:
                self.bring_up(unit)
            if stage["checks"]:
                self.wait(stage["seconds"], 0.5, healthy, stage)
                say(f"{stage['component']} is healthy")
            self.preflight(stage["component"])
        # Until it knows what is enabled, systemd forgets a unit that has stopped, and no metric tells of it.
        run("systemctl", "daemon-reload")

    def bring_up(self, unit: str) -> None:
        restart = "restart" if unit in self.pending["restarts"] else None
        reload = "reload-or-restart" if unit in self.pending["reloads"] else None
        enable(unit)
        systemctl(restart or reload or "start", unit)
        for kind in self.pending:
            self.done(kind, {unit})

    def done(self, kind: str, units: set[str]) -> None:
        self.pending[kind] = [unit for unit in self.pending[kind] if unit not in units]
        self.disk.note("pending", self.pending)


def softened(entry: Entry, here: Path, content: bytes) -> Entry:
    """`entry` with a reload in place of its restart, where only `live` keys of a JSON object change."""
    if "live" not in entry:
        return entry
    try:
        old, new = json.loads(here.read_bytes()), json.loads(content)
    except (OSError, ValueError):
        return entry
    changed = [key for key in {*old, *new} if old.get(key) != new.get(key)]
    live = all(key in entry["live"] and key in new for key in changed)
    return {"reloads": entry["restarts"]} if live else entry


def units(manifest: Entry) -> list[str]:
    """All that the generation starts, in that order."""
    return [unit for stage in manifest["stages"] for unit in stage["units"]] + [*manifest["boot_units"]]


def add_user(name: str, uid: int) -> None:
    try:
        found = pwd.getpwnam(name).pw_uid
    except KeyError:
        run("groupadd", "--force", "--system", "--gid", str(uid), name)
        account = ("--system", "--no-create-home", "--shell", "/usr/sbin/nologin")
        run("useradd", *account, "--uid", str(uid), "--gid", name, name)
        return
    if found != uid:
        raise Failure(f"user {name} has uid {found}, but files on the data volume belong to {uid}", WRONG)


def healthy(stage: Entry) -> None:
    # One that fails is enough: what comes after it costs a program each time, and mostly follows from it.
    for result in outcomes(stage):
        if result["wrong"]:
            raise Failure(f"{stage['component']} is not healthy: {result['wrong']}", UNHEALTHY)


def who_am_i() -> tuple[bytes, bytes]:
    """This node's name, and the address that its default route sends from (no packet is sent)."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
            return socket.gethostname().encode(), probe.getsockname()[0].encode()
    except OSError as error:
        raise Failure(f"no default route yet: {error.strerror}") from None


def report(disk: Disk, *, health: bool, brief: bool) -> int:
    """Prints the outcomes of all health checks, or what status says; 1 when a check is not healthy.

    `brief` is one line with what is wrong.
    """
    numbers, wanted = disk.numbers(), disk.pointer("wanted")
    stages = read_manifest(disk.folder(wanted))["stages"] if wanted in numbers else []
    results = [result for stage in stages for result in outcomes(stage)] if health else []
    status = {
        "wanted": wanted,
        "applied": disk.pointer("applied"),
        "generations": numbers,
        "pending": disk.noted("pending", {}),
        "units": {} if health else {unit: is_active(unit) for stage in stages for unit in stage["units"]},
    }
    wrong = [result["wrong"] for result in results if result["wrong"]]
    print("; ".join(wrong) if brief else json.dumps(results if health else status, indent=2))
    return int(bool(wrong))


def work(command: str, disk: Disk, patience: int, *, brief: bool) -> int:
    if command in ("status", "health"):
        return report(disk, health=command == "health", brief=brief)
    if command not in ("first-boot", "apply", "boot", "rollback"):
        raise Failure("say first-boot, apply, boot, rollback, status or health", WRONG)
    disk.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (disk.state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Failure("another clustermesos-apply runs; wait until it has ended") from None
        boot = command == "boot"
        number = back(disk) if command == "rollback" else take(disk, boot=boot)
        say(f"generation {number}")
        again = boot and disk.pointer("applied") is not None
        lenient = again or command == "rollback"
        Apply(disk, number, patience=patience, boot=again, lenient=lenient).everything()
        say(f"generation {number} is applied")
    return 0


def main() -> int:
    """Exit code; an error is told in one line."""
    # argparse would be a tenth of a KB of every node's user data.
    command, *words = [*sys.argv[1:], ""]
    options = {"--root": "/", "--patience": "3600"} | dict(zip(words[::2], words[1::2], strict=False))
    try:
        disk, patience = Disk(options["--root"]), int(options["--patience"])
        return work(command, disk, patience, brief="--brief" in words)
    except Failure as failure:
        error, code = str(failure), failure.code
    except OSError as failure:
        error, code = f"{failure.filename}: {failure.strerror}", 1
    print(told(f"error: {error}"), file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
