"""Takes other keys of a gateway's links, and goes back to the former ones where a link does not come up.

A conversation: {"ready": true} is said when nothing but a word is missing, `go` makes the gateway take the
keys, {"switched": true} says that it has, {"heard": …, "silent": […]} whether every link was heard under
them. `keep` or `back` ends it. Who asks may be lost at any moment: up to `go` nothing was changed, and from
then on a process of its own decides at its deadline: it keeps them where each link that worked before works.
"""

from __future__ import annotations

import hashlib
import json
import os
import select
import shlex
import subprocess
import sys
import time
from pathlib import Path

from constructs_lib.rollout.on_node.state import GIVEN, Data, Node, RefusedError

CHANGE, WORD = "link-keys.json", "link-keys.word"
"""The change under way, with the former keys; the operator's last word."""
LIVES = 180
"""Seconds; a link with a session that works was heard at most 150 s ago."""
GRACE = 30
"""Seconds after the last moment of a link to be heard in which the operator's word still counts."""


def link_keys(node: Node, request: Data) -> Data:
    """See above. The answer: {state: kept or went back, silent: [site], why}."""
    with node.lock():
        entries = _entries(node, request)
        given = _given(node, entries, request)
        print('{"ready": true}', flush=True)
        if sys.stdin.buffer.readline() != b"go\n":
            raise RefusedError("nobody said go; nothing was changed")
        (node.state / WORD).unlink(missing_ok=True)
        node.note(CHANGE, {"id": request["id"], "state": "begins"})
        child = os.fork()
        if child == 0:
            _detached(node, request, entries, given)
        return _follow(node, request, child)


def _entries(node: Node, request: Data) -> dict[str, Data]:
    """Name → the manifest's entry."""
    manifest = node.read(node.folder(node.pointer("wanted")) / "manifest.json") or {"secrets": []}
    known = {entry["name"]: entry for entry in manifest["secrets"]}
    if missing := sorted(set(request["keys"]) - set(known)):
        raise RefusedError(
            f"it does not read {', '.join(missing)} yet: clustermesos nodes apply gateway first"
        )
    return {name: known[name] for name in request["keys"]}


def _given(node: Node, entries: dict[str, Data], request: Data) -> dict[str, Data]:
    """Name → the value that comes, and a hash of the one that its source has and that it is put before."""
    manifest = node.read(node.folder(node.pointer("wanted")) / "manifest.json")
    command = shlex.split(manifest["secret_command"])
    given = {}
    before = node.read(node.state / GIVEN, {})
    for name in entries:
        try:
            done = subprocess.run((*command, name), capture_output=True, check=False, timeout=60)
        except (OSError, subprocess.TimeoutExpired):
            raise RefusedError(f"{command[0]} gave no answer about {name}") from None
        value = done.stdout.rstrip(b"\r\n")
        if not value and before.get(name, {}).get("replaces") == "":
            # Known to be without it: the machine was made before that site was.
            given[name] = {"value": request["keys"][name]["value"], "replaces": ""}
            continue
        # Never what it printed: that may be a part of the value.
        if done.returncode or not value:
            raise RefusedError(f"{command[0]} ended with {done.returncode} and gave no {name}")
        if value.decode() != request["keys"][name]["value"]:
            given[name] = {
                "value": request["keys"][name]["value"],
                "replaces": hashlib.sha256(value).hexdigest(),
            }
    return given


def _detached(node: Node, request: Data, entries: dict[str, Data], given: dict[str, Data]) -> None:
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    code = 1
    try:
        _change(node, request, entries, given)
        code = 0
    finally:
        os._exit(code)


def _change(node: Node, request: Data, entries: dict[str, Data], given: dict[str, Data]) -> None:
    texts = {entry["path"]: _text(node, entry["path"]) for entry in entries.values()}
    new = {entry["path"]: _placed(entry, request["keys"][name]["value"]) for name, entry in entries.items()}
    before = node.read(node.state / GIVEN, {})
    note: Data = {"id": request["id"], "former": texts, "given": before}
    changed = {name for name, entry in entries.items() if texts[entry["path"]] != new[entry["path"]]}
    worked = _heard(node, request, entries, time.time() - LIVES)
    begun = int(time.time())
    node.note(CHANGE, note | {"state": "changing"})
    why = _take(
        node, request, entries, new, {n: g for n, g in before.items() if n not in entries} | given, changed
    )
    end = time.monotonic() + request["seconds"]
    decided, silent = "", []
    node.note(CHANGE, note | {"state": "failed" if why else "switched"})
    while not decided and not why:
        silent = _silent(node, request, entries, changed, begun)
        over = time.monotonic() >= end
        if not silent or over:
            node.note(
                CHANGE, note | {"state": "heard" if not worked & {*silent} else "unheard", "silent": silent}
            )
        decided = _word(node, request)
        if not decided and time.monotonic() >= end + GRACE:
            decided = "back" if worked & {*silent} else "keep"
        time.sleep(0.2)
    if why or decided == "back":
        _take(node, request, entries, texts, before, changed)
    state = "went back" if why or decided == "back" else "kept"
    node.note(CHANGE, {"id": request["id"], "state": state, "silent": silent, "why": why})


def _take(
    node: Node, request: Data, entries: dict[str, Data], texts: Data, given: Data, changed: set[str]
) -> str:
    """Put the keys in place and have WireGuard read them; why that failed."""
    try:
        node.note(GIVEN, given)
        for entry in entries.values():
            _write(node.at(entry["path"]), texts[entry["path"]], int(entry.get("mode", "600"), 8))
    except OSError as error:
        return f"{error.filename}: {error.strerror}"
    if not changed:
        return ""
    done = _run("systemctl", "reload-or-restart", request["unit"])
    # A gateway that is called by a name has to be looked up: its new key has no address yet.
    _run(*request["calls"])
    return done


def _run(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    said = done.stderr.strip().splitlines()
    return f"{' '.join(command)}: {said[-1] if said else done.returncode}" if done.returncode else ""


def _heard(node: Node, request: Data, entries: dict[str, Data], since: float) -> set[str]:
    """The sites that were heard since, as WireGuard says it of the keys that are in place."""
    try:
        said = subprocess.run(
            ("wg", "show", request["interface"], "latest-handshakes"),
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return set()
    latest = {line.split()[0]: int(line.split()[1]) for line in said.splitlines() if len(line.split()) == 2}
    keys = {key["site"]: _text(node, entries[name]["path"]) for name, key in request["keys"].items()}
    return {
        site for site, text in keys.items() if site and text and latest.get(text.strip(), 0) >= max(since, 1)
    }


def _silent(node: Node, request: Data, entries: dict[str, Data], changed: set[str], begun: int) -> list[str]:
    """The sites whose link has to be made anew for what changed, and was not yet."""
    own = any(request["keys"][name]["site"] is None for name in changed)
    made = {key["site"] for name, key in request["keys"].items() if key["site"] and (own or name in changed)}
    return sorted((made & {*request["peers"]}) - _heard(node, request, entries, begun))


def _text(node: Node, path: str) -> str | None:
    try:
        return node.at(path).read_text()
    except (OSError, ValueError):
        return None


def _placed(entry: Data, value: str) -> str:
    return value + "\n" * bool(entry.get("newline", False))


def _write(path: Path, text: str | None, mode: int) -> None:
    """A whole file or the old one, also after a crash; none for None."""
    if text is None:
        path.unlink(missing_ok=True)
        return
    fresh = path.with_name(f".{path.name}.clustermesos")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(mode)
    fresh.replace(path)


def _word(node: Node, request: Data) -> str:
    word = node.read(node.state / WORD, {})
    return str(word["word"]) if word.get("id") == request["id"] else ""


def _follow(node: Node, request: Data, child: int) -> Data:
    """Tell how it goes, and hand on the operator's word."""
    told, listens = "", True
    while True:
        gone = os.waitpid(child, os.WNOHANG)[0] == child
        change: Data = node.read(node.state / CHANGE, {})
        state = change.get("state", "")
        if state in ("kept", "went back") and gone:
            return {key: change[key] for key in ("state", "silent", "why")}
        if gone:
            raise RefusedError("the change was ended from outside; run it again")
        if state != told and state in ("switched", "heard", "unheard"):
            if told not in ("switched", "heard", "unheard"):
                print('{"switched": true}', flush=True)
            if state != "switched":
                print(json.dumps({"heard": state == "heard", "silent": change["silent"]}), flush=True)
            told = state
        if listens and select.select([0], [], [], 0)[0]:
            word = os.read(0, 64).decode().strip()
            listens = bool(word)
            if word in ("keep", "back"):
                node.note(WORD, {"id": request["id"], "word": word})
        time.sleep(0.1)
