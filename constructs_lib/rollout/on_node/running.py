"""Runs clustermesos-apply detached from the connection, and goes back where nobody gets in again."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from constructs_lib.rollout.on_node.boot import start_boot, stop_boot
from constructs_lib.rollout.on_node.state import CONFIRMED, LOG, RESULT, Data, Node, RefusedError
from constructs_lib.rollout.on_node.taking import take

HELD = "another clustermesos-apply runs"
LOOKS_WITHIN = 10
"""Seconds within which a run that waits for its confirmation has surely seen it."""


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
