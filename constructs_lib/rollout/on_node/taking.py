"""Takes a generation that arrives, or refuses it while nothing was changed yet."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from constructs_lib.rollout.on_node.packages import refuse_unknown_versions
from constructs_lib.rollout.on_node.state import (
    CONFIRMED,
    GIVEN,
    LOG,
    RESULT,
    SIGNED,
    Data,
    Node,
    RefusedError,
    digest,
)

STAGING = "sending"


def take(node: Node, request: Data) -> None:
    """Everything of `start` that may be refused: the generation is staged, and nothing was applied yet."""
    with node.lock():
        if node.pointer("wanted") != request["expected"]:
            raise RefusedError("this node's generation is another one than a moment ago; run it again")
        confirm_former(node)
        if request["manifest"] is not None:
            refuse_unknown_versions(node, json.loads(request["manifest"]))
            sign(node, request["rollout"])
            stage(node, request)
        give(node, request.get("given", {}))
        node.note(RESULT, {"id": request["id"], "state": "running"})
        (node.state / LOG).unlink(missing_ok=True)
        os.close(os.open(node.state / LOG, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def give(node: Node, values: dict[str, str]) -> None:
    """Values that the node's source does not have; one that it gets later counts before these."""
    if values:
        given = {name: {"value": value, "replaces": ""} for name, value in values.items()}
        node.note(GIVEN, node.read(node.state / GIVEN, {}) | given)


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
