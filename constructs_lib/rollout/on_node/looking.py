"""What a node has, beside what the operator wants; changes nothing."""

from __future__ import annotations

import hmac
from pathlib import Path

from constructs_lib.rollout.on_node.state import RESULT, SIGNED, Data, Node, digest


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
