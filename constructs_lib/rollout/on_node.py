"""Runs on a node, sent through SSH's standard input; nothing of it stays there and no other module is needed.

Standard input holds this text and one line of JSON, the request. The last line of standard output is
{"answer": …} or {"refused": …}; lines before it are progress. Python 3.11 and its standard library.

    look      generations, files that differ, values of secrets as keyed hashes; changes nothing
    start     puts a generation into incoming in one step and runs clustermesos-apply, detached
    confirm   the operator can still get in: keep what `start` did
    why       what is not healthy, with the last lines of its units' journals
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Data = dict[str, Any]
BUSY = "another clustermesos-apply runs on this node; wait until it has ended"
HELD = "another clustermesos-apply runs"
STAGING, SIGNED = "sending", "rollouts.json"
UNIT = "clustermesos-apply.service"
"""Tries again after a boot that failed, and would take the lock between an apply and its rollback."""
RESULT, LOG, CONFIRMED = "rollout.json", "rollout.log", "rollout.confirmed"
STOPS_WITHIN = 120
"""Seconds that systemd may take to end it: 90 until it kills, and a machine that is busy."""
LOOKS_WITHIN = 10
"""Seconds within which a run that waits for its confirmation has surely seen it."""


class RefusedError(Exception):
    """Said to the operator; nothing was changed."""


class Node:
    """The generations below `root`, which is / but in a test."""

    def __init__(self, root: str) -> None:
        self.root = Path(root)
        self.state = self.at("/var/lib/clustermesos")

    def at(self, path: str) -> Path:
        """Where an absolute path of the node is."""
        return self.root / path.lstrip("/")

    def pointer(self, name: str) -> int | None:
        """The generation that the link `wanted` or `applied` names."""
        try:
            return int((self.state / name).readlink().name)
        except (OSError, ValueError):
            return None

    def folder(self, number: int | None) -> Path:
        """A generation's folder."""
        return self.state / "generations" / str(number)

    def read(self, path: Path, default: Any = None) -> Any:
        """JSON, `default` where there is none that can be read."""
        try:
            return json.loads(path.read_text())
        except (OSError, ValueError):
            return default

    def note(self, name: str, data: Data) -> None:
        """Write a file of the state folder in one step, 0600."""
        fresh = self.state / f".{name}"
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(data, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.state / name)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """The lock of clustermesos-apply; RefusedError while it is held."""
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.state / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedError(BUSY) from None
            yield

    def busy(self) -> bool:
        """Whether clustermesos-apply runs."""
        if not (self.state / "lock").exists():
            return False
        try:
            with self.lock():
                return False
        except RefusedError:
            return True

    def placed(self, content: bytes) -> bytes:
        """As clustermesos-apply puts it in place: with this node's own name and address."""
        name, address = (b"@@node:" + what + b"@@" for what in (b"name", b"address"))
        if name not in content and address not in content:
            return content
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))
            except OSError:
                return content
            mine = probe.getsockname()[0].encode()
        return content.replace(name, socket.gethostname().encode()).replace(address, mine)


def digest(content: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def look(node: Node, request: Data) -> Data:
    """What the node has, beside what the operator wants."""
    wanted = node.pointer("wanted")
    folder = node.folder(wanted)
    manifest = node.read(folder / "manifest.json")
    there = [entry["path"] for entry in manifest["files"]] if manifest else []
    differs, edited = {}, []
    for path in there:
        try:
            content = (folder / "files" / path.lstrip("/")).read_bytes()
        except OSError:
            differs[path] = ""
            continue
        if digest(content) != request["files"].get(path):
            differs[path] = content.decode(errors="replace")
        try:
            same = node.at(path).read_bytes() == node.placed(content)
        except OSError:
            same = False
        if not same:
            edited.append(path)
    return {
        "wanted": wanted,
        "applied": node.pointer("applied"),
        "former": node.read(folder / "former"),
        "busy": node.busy(),
        "incoming": (node.state / "incoming/manifest.json").exists(),
        "pending": node.read(node.state / "pending", {}),
        "rollout": node.read(node.state / SIGNED, {}).get(str(wanted)),
        "result": node.read(node.state / RESULT),
        "manifest": manifest,
        "differs": differs,
        "edited": edited,
        "back": way_back(node, manifest),
        "secrets": {name: keyed(node, request["nonce"], path) for name, path in request["secrets"].items()},
    }


def way_back(node: Node, manifest: Data | None) -> Data | None:
    """The manifest that a rollback goes to, and path → [text now, text then] of each file that it changes.

    None where there is nothing to go back to.
    """
    wanted, applied = node.pointer("wanted"), node.pointer("applied")
    number = applied if applied != wanted else node.read(node.folder(wanted) / "former")
    then = node.read(node.folder(number) / "manifest.json") if number is not None else None
    if manifest is None or then is None:
        return None
    paths = {entry["path"] for one in (manifest, then) for entry in one["files"]}
    texts = {
        path: [text(node.folder(one) / "files" / path.lstrip("/")) for one in (wanted, number)]
        for path in paths
    }
    return {"manifest": then, "texts": {path: two for path, two in texts.items() if two[0] != two[1]}}


def text(path: Path) -> str:
    """Its text; empty where it can't be read."""
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:
        return ""


def keyed(node: Node, nonce: str, path: str) -> str | None:
    """A hash of a secret's value that is worth nothing without the nonce; None where there is no value."""
    try:
        value = node.at(path).read_bytes().rstrip(b"\r\n")
    except OSError:
        return None
    return hmac.new(bytes.fromhex(nonce), value, "sha256").hexdigest()


def start(node: Node, request: Data) -> Data:
    """Stage, run detached, hand on what it says; the answer is its result."""
    tried = stop_boot()
    try:
        take(node, request)
    except BaseException:
        if tried:
            start_boot()
        raise
    child = os.fork()
    if child == 0:
        detached(node, request)
    return follow(node, request["id"], child)


def stop_boot() -> bool:
    """Whether a boot was at work, or about to try again; it has ended then."""
    asked = subprocess.run(["systemctl", "is-active", UNIT], capture_output=True, check=False, timeout=30)
    try:
        subprocess.run(["systemctl", "stop", UNIT], capture_output=True, check=False, timeout=STOPS_WITHIN)
    except subprocess.TimeoutExpired:
        start_boot()
        raise RefusedError(
            f"{UNIT} has not stopped after {STOPS_WITHIN} s, so nothing was changed: see "
            f"journalctl -u {UNIT} on the node, and run it again"
        ) from None
    return asked.stdout.strip() in (b"active", b"activating")


def start_boot() -> None:
    """Go on with what stepped aside."""
    subprocess.run(["systemctl", "start", "--no-block", UNIT], capture_output=True, check=False, timeout=30)


def take(node: Node, request: Data) -> None:
    """Everything of `start` that may be refused: the generation is staged, and nothing was applied yet."""
    with node.lock():
        if node.pointer("wanted") != request["expected"]:
            raise RefusedError("this node's generation is another one than a moment ago; run it again")
        confirm_former(node)
        if request["manifest"] is not None:
            sign(node, request["rollout"])
            stage(node, request)
        node.note(RESULT, {"id": request["id"], "state": "running"})
        (node.state / LOG).unlink(missing_ok=True)
        os.close(os.open(node.state / LOG, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def confirm_former(node: Node) -> None:
    """Whoever starts something got in: what waits for that must not go back meanwhile."""
    former = node.read(node.state / RESULT, {})
    if former.get("state") == "unconfirmed":
        node.note(CONFIRMED, {"id": former["id"]})


def sign(node: Node, rollout: Data) -> None:
    """Who brought the generation that comes: beside them all, since two of the same content are one."""
    numbers = [int(path.name) for path in (node.state / "generations").glob("[0-9]*")]
    signed = node.read(node.state / SIGNED, {})
    kept = {number: signed[number] for number in map(str, numbers) if number in signed}
    node.note(SIGNED, kept | {str(max(numbers, default=0) + 1): rollout})


def stage(node: Node, request: Data) -> None:
    """The generation becomes `incoming` by one rename: never there in part, whatever happens before."""
    staging, incoming = node.state / STAGING, node.state / "incoming"
    shutil.rmtree(staging, ignore_errors=True)
    kept = node.folder(request["expected"]) / "files"
    for path, file in request["files"].items():
        source = kept / path.lstrip("/")
        content = file["text"].encode() if "text" in file else source.read_bytes()
        if digest(content) != file["sha256"]:
            raise RefusedError(f"{path} arrived with another content than was sent; run it again")
        write(staging / "files" / path.lstrip("/"), content)
    write(staging / "manifest.json", request["manifest"].encode())
    shutil.rmtree(incoming, ignore_errors=True)
    staging.rename(incoming)
    folder = os.open(node.state, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def write(path: Path, content: bytes) -> None:
    """A new file, 0600, on the disk before this returns."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def detached(node: Node, request: Data) -> None:
    """The rest runs on when the connection is lost, and goes back when nobody gets in again."""
    os.setsid()
    null, log = os.open(os.devnull, os.O_RDWR), os.open(node.state / LOG, os.O_WRONLY | os.O_APPEND)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    code = 1
    try:
        before = node.pointer("wanted")
        code = run(node, request["command"], request["patience"])
        result = {"id": request["id"], "code": code, "wanted": node.pointer("wanted")}
        took = request["command"] == "apply" and before is not None and node.pointer("wanted") != before
        if took and not reached(node, request, result):
            print("no operator got in again: going back to the former generation", flush=True)
            # Noted first: who confirms from now on is told that it is too late.
            node.note(RESULT, result | {"state": "going back"})
            run(node, "rollback", request["patience"])
            # Also where a package stayed as it was: the next plan tells what is left to do.
            result |= {
                "went_back": node.pointer("wanted") != result["wanted"],
                "wanted": node.pointer("wanted"),
            }
        # A later start may be under way already: its lock and what it notes are not ours to take.
        if node.read(node.state / RESULT, {}).get("id") == request["id"]:
            if node.pointer("applied") is None:
                start_boot()
            node.note(RESULT, result | {"state": "ended"})
    finally:
        os._exit(code)


def reached(node: Node, request: Data, result: Data) -> bool:
    """Whether the operator confirms in time; another generation that came meanwhile is not ours to undo."""
    node.note(RESULT, result | {"state": "unconfirmed"})
    end = time.monotonic() + request["confirm_seconds"]
    while time.monotonic() < end:
        if (node.read(node.state / CONFIRMED) or {}).get("id") == request["id"]:
            return True
        if node.pointer("wanted") != result["wanted"]:
            return True
        time.sleep(0.2)
    return False


def run(node: Node, command: str, patience: int, tries: int = 5) -> int:
    """clustermesos-apply of the generation that is to come, else the one that is here."""
    script = "files/usr/local/sbin/clustermesos-apply"
    places = [node.state / "incoming" / script, node.folder(node.pointer("wanted")) / script]
    found = next(
        (place for place in places if place.is_file()), node.at("/usr/local/sbin/clustermesos-apply")
    )
    options = ("--root", str(node.root), "--patience", str(patience))
    while True:
        code = subprocess.run(
            [sys.executable, str(found), command, *options], stdin=subprocess.DEVNULL, check=False
        ).returncode
        tries -= 1
        if code == 0 or not tries or not was_busy(node):
            return code
        time.sleep(1)


def was_busy(node: Node) -> bool:
    """Whether clustermesos-apply gave up at once: whoever looks at a node has its lock for a moment."""
    try:
        return HELD in (node.state / LOG).read_text(errors="replace").splitlines()[-1]
    except (OSError, IndexError):
        return False


def follow(node: Node, run_id: str, child: int) -> Data:
    """Print the log as it grows until there is a result."""
    with (node.state / LOG).open(errors="replace") as log:
        while True:
            gone = os.waitpid(child, os.WNOHANG)[0] == child
            result: Data = node.read(node.state / RESULT, {})
            for line in log:
                print(line, end="", flush=True)
            if result.get("id") == run_id and result.get("state") in ("unconfirmed", "ended"):
                return result
            if gone:
                raise RefusedError("clustermesos-apply was ended from outside; run it again")
            time.sleep(0.1)


def confirm(node: Node, request: Data) -> Data:
    """Keep what `start` with this id did; `went_back` is true where nobody had confirmed in time."""
    node.note(CONFIRMED, {"id": request["id"]})
    end = time.monotonic() + LOOKS_WITHIN
    while True:
        result = node.read(node.state / RESULT, {})
        waits = result.get("id") == request["id"] and result.get("state") == "unconfirmed"
        # Whoever waits for this may be gone, after a reboot for example; then nothing goes back any more.
        if not waits or time.monotonic() > end:
            return {"went_back": result.get("state") == "going back" or result.get("went_back", False)}
        time.sleep(0.1)


def why(node: Node, request: Data) -> Data:
    """Unhealthy components and units, with the last lines of their journals."""
    manifest = node.read(node.folder(node.pointer("wanted")) / "manifest.json", {})
    stages = manifest.get("stages", [])
    said = subprocess.run(
        ["clustermesos-health"], capture_output=True, text=True, check=False, timeout=60
    ).stdout
    try:
        wrong = {check["component"]: check["wrong"] for check in json.loads(said) if not check["healthy"]}
    except (ValueError, KeyError, TypeError):
        wrong = {}
    units = [
        unit
        for stage in stages
        for unit in stage["units"]
        if stage["component"] in wrong or not is_active(unit)
    ]
    return {"components": wrong, "journals": {unit: journal(unit) for unit in units}}


def is_active(unit: str) -> bool:
    """Whether systemd says so."""
    command = ["systemctl", "is-active", unit]
    return subprocess.run(command, capture_output=True, check=False, timeout=30).returncode == 0


def journal(unit: str) -> list[str]:
    """Its last lines."""
    command = ["journalctl", "-q", "-o", "cat", "-n", "8", "-u", unit]
    said = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, timeout=30)
    return [line[:300] for line in said.stdout.splitlines()]


MODES: dict[str, Callable[[Node, Data], Data]] = {
    "look": look,
    "start": start,
    "confirm": confirm,
    "why": why,
}


def main() -> int:
    """Answer one request."""
    try:
        request = json.loads(sys.stdin.buffer.readline())
    except ValueError:
        # The connection ended before all of it was here.
        return 1
    try:
        answer = MODES[sys.argv[2]](Node(request["root"]), request)
    except RefusedError as refused:
        print(json.dumps({"refused": str(refused)}), flush=True)
        return 1
    except OSError as error:
        print(json.dumps({"refused": f"{error.filename or 'the node'}: {error.strerror}"}), flush=True)
        return 1
    print(json.dumps({"answer": answer}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
