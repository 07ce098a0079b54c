"""Asks and changes one node by `on_node`, over SSH: it is sent along each time, so any node knows it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from constructs_lib.access.ssh import LOST, Ssh
from constructs_lib.errors import RollError
from constructs_lib.rollout.travel import on_gateway, on_node
from constructs_lib.rollout.wanted import Generation

ASK_SECONDS = 60.0
"""The longest that one question may take."""
CONFIRM_SECONDS = 120
"""How long a changed node waits for the operator to get in again before it goes back by itself."""
PAUSE_SECONDS = 3.0
_SCRIPT, LEASE_SCRIPT = on_node(), on_gateway()
_LOADER = "import sys;exec(compile(sys.stdin.buffer.read(int(sys.argv[1])),'sent','exec'))"

Command = Literal["apply", "rollback"]
Answer = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a node has. `secrets` says by name whether the value there is the operator's: None is unknown."""

    wanted: int | None
    applied: int | None
    former: int | None
    """The generation that a rollback goes to, where the wanted one is applied."""
    busy: bool
    incoming: bool
    """Whether a generation was sent and never taken."""
    pending: Mapping[str, list[str]]
    rollout: Mapping[str, Any] | None
    """Who sent the wanted generation, when and in which rollout; None for the first boot's."""
    result: Mapping[str, Any] | None
    manifest: Mapping[str, Any] | None
    differs: Mapping[str, str]
    """Path → text of the node's generation, for each file whose text differs or is not wanted any more."""
    edited: tuple[str, ...]
    """Files that are not what the node's generation says."""
    secrets: Mapping[str, Literal["same", "other", "missing"] | None]
    back: Mapping[str, Any] | None = None
    """What a rollback goes to: {manifest, texts: path → [text now, text then]}; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How clustermesos-apply ended on the node: its exit code, its last words, and what it did by itself."""

    code: int
    last: str
    went_back: bool = False


@dataclass(frozen=True, kw_only=True)
class NodeShell:
    """One node. Methods raise RollError when it is not reached or refuses."""

    ssh: Ssh
    login: str
    """What the SSH configuration calls it."""
    root: str = "/"
    patience: int = 900
    """Seconds that no wait of clustermesos-apply may exceed."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    confirm_seconds: int = field(default=CONFIRM_SECONDS)

    def look(self, generation: Generation, values: Mapping[str, str]) -> Seen:
        """Compare with `generation`; `values` are the secrets that the operator has, by name."""
        nonce = secrets.token_hex(16)
        found = self._ask(
            "look",
            {"nonce": nonce, "files": generation.digests(), "secrets": dict(generation.secrets)},
        )
        hashes = found.pop("secrets")
        return Seen(
            **{**found, "edited": tuple(found["edited"])},
            secrets={name: _compared(nonce, values.get(name), hashes[name]) for name in generation.secrets},
        )

    def apply(
        self,
        generation: Generation,
        seen: Seen,
        rollout: Mapping[str, Any],
        hear: Callable[[str], None],
        given: Mapping[str, str] = MappingProxyType({}),
    ) -> Outcome:
        """Send what the node lacks, run clustermesos-apply there and confirm that it is still reached.

        `given` are values, by name, of secrets that the node's own source does not have.

        A generation that is there already is not sent: clustermesos-apply then heals and fetches secrets.
        """
        fresh = seen.manifest is None or generation.manifest_data != seen.manifest or bool(seen.differs)
        there = {path for path in _paths(seen.manifest) if path not in seen.differs}
        request: dict[str, Any] = {"manifest": None, "rollout": dict(rollout), "given": dict(given)}
        if fresh or seen.incoming:
            request |= {
                "manifest": generation.manifest,
                "files": {
                    path: {"sha256": sha} | ({} if path in there else {"text": generation.files[path]})
                    for path, sha in generation.digests().items()
                },
            }
        return self._start("apply", seen, request, hear)

    def back(self, seen: Seen, hear: Callable[[str], None]) -> Outcome:
        """Have the node go to its former generation."""
        return self._start("rollback", seen, {"manifest": None}, hear)

    def confirm(self, run_id: str) -> bool:
        """Keep what the run of this id did: an operator got in again. False where that came too late."""
        return not self._ask("confirm", {"id": run_id})["went_back"]

    def why(self) -> Answer:
        """What is not healthy: {components: name → what is wrong, journals: unit → last lines}."""
        return self._ask("why", {})

    def _start(
        self, command: Command, seen: Seen, request: dict[str, Any], hear: Callable[[str], None]
    ) -> Outcome:
        run_id = secrets.token_hex(8)
        last: list[str] = [""]

        def listen(line: str) -> None:
            if line and not line.startswith("{"):
                last[0] = line
                hear(line)

        request |= {
            "id": run_id,
            "command": command,
            "expected": seen.wanted,
            "patience": self.patience,
            "confirm_seconds": self.confirm_seconds,
        }
        try:
            result = self._ask("start", request, timeout=self._longest, hear=listen)
        except _LostError as lost:
            hear(f"the connection was lost ({lost}); looking how it went on")
            result = self._result(run_id)
        # By a connection of its own: it proves that an operator still gets in.
        kept = (
            self.confirm(run_id) if result["state"] == "unconfirmed" else not result.get("went_back", False)
        )
        return Outcome(code=result["code"], last=last[0], went_back=not kept)

    @property
    def _longest(self) -> float:
        """Packages may take long; each component may take `patience`."""
        return 1800.0 + 4 * self.patience

    def _result(self, run_id: str) -> Answer:
        end = self.clock() + max(self.patience, CONFIRM_SECONDS)
        while True:
            try:
                found = self._ask("look", {"nonce": "00", "files": {}, "secrets": {}})["result"] or {}
            except _LostError as lost:
                found, trouble = {}, str(lost)
            else:
                trouble = "it still runs"
            if found and found["id"] != run_id:
                raise RollError("the connection was lost before anything changed; run it again")
            if found.get("state") in ("unconfirmed", "ended"):
                return dict(found)
            if self.clock() >= end:
                raise RollError(
                    f"the connection was lost while it changed, and is not back: {trouble}. A node that no "
                    f"operator reaches goes back by itself after {self.confirm_seconds} s"
                )
            self.sleep(PAUSE_SECONDS)

    def _ask(
        self,
        mode: str,
        request: Mapping[str, Any],
        *,
        timeout: float = ASK_SECONDS,
        hear: Callable[[str], None] | None = None,
    ) -> Answer:
        words, stdin = asking(mode, {**request, "root": self.root})
        said = self.ssh.run(self.login, words, timeout=timeout, stdin=stdin, hear=hear)
        lines = [line for line in said.out.splitlines() if line.startswith("{")]
        answer = _parsed(lines[-1]) if lines else {}
        if "refused" in answer:
            raise RollError(str(answer["refused"]))
        if "answer" in answer:
            return dict(answer["answer"])
        # Below 0: this computer ended the ssh itself, for want of memory for example.
        if said.code == LOST or said.code < 0:
            raise _LostError(said.trouble)
        raise RollError(f"the node can't be asked: {said.trouble or 'it gave no answer'}")


class _LostError(RollError):
    """ssh did not get as far as an answer."""


def asking(mode: str, request: Mapping[str, Any], script: bytes = _SCRIPT) -> tuple[tuple[str, ...], bytes]:
    """The words to run on the node, and what they read."""
    words = ("sudo", "-n", "python3", "-Bc", shlex.quote(_LOADER), str(len(script)), mode)
    return words, script + json.dumps(request).encode() + b"\n"


def _parsed(line: str) -> Answer:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _paths(manifest: Mapping[str, Any] | None) -> list[str]:
    return [entry["path"] for entry in manifest["files"]] if manifest else []


def _compared(nonce: str, value: str | None, there: str | None) -> Literal["same", "other", "missing"] | None:
    if there is None:
        return "missing"
    if value is None:
        return None
    mine = hmac.new(bytes.fromhex(nonce), value.rstrip("\r\n").encode(), hashlib.sha256).hexdigest()
    return "same" if hmac.compare_digest(mine, there) else "other"
