"""What an agent keeps of itself in its work_dir, so that it comes back as the same agent or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from constructs_lib.simulator.double import Log, RefusedError
from constructs_lib.simulator.resources import not_permitted

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Checkpoint:
    """`work_dir/meta`, by Mesos' layout; the content of slave.info is JSON here, where Mesos has protobuf."""

    def __init__(self, work_dir: Path, log: Log) -> None:
        self._slaves = work_dir / "meta" / "slaves"
        self._latest = self._slaves / "latest"
        self._boot = work_dir / "meta" / "boot_id"
        self._log = log

    def recover(self, info: Mapping[str, Any], policy: str) -> str | None:
        """The agent id to come back with, or None for a new agent.

        Raises:
            RefusedError: the agent that is remembered may not become this one, without a reboot.
        """
        if not self._latest.is_symlink():
            return None
        file = self._latest / "slave.info"
        try:
            old = json.loads(file.read_text(encoding="utf-8"))
            before = self._boot.read_text().strip() if self._boot.exists() else None
        except (OSError, ValueError) as error:
            raise RefusedError(f"Failed to recover agent info from '{file}': {error}") from None
        # What is compared went through JSON once, as the old one did.
        wrong = not_permitted(old["info"], json.loads(json.dumps(dict(info))), policy)
        if not wrong:
            self._log(f"Recovered agent {old['id']} from '{self._latest}'")
            return str(old["id"])
        if before is not None and before != _BOOT_ID.read_text().strip():
            self._log(f"Falling back to recover as a new agent due to error: {wrong}", "W")
            self._latest.unlink()
            return None
        raise RefusedError(
            f"Failed to perform recovery: {wrong}\nTo remedy this do as follows:\n"
            f"Step 1: rm -f {self._latest}\n        This ensures agent doesn't recover old live executors.\n"
            "Step 2: Restart the agent."
        )

    def save(self, id: str, info: Mapping[str, Any]) -> None:
        """Remember this agent."""
        folder = self._slaves / id
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / "slave.info.new"
        fresh.write_text(json.dumps({"id": id, "info": dict(info)}), encoding="utf-8")
        fresh.replace(folder / "slave.info")
        self._boot.write_text(_BOOT_ID.read_text())
        link = self._slaves / "latest.new"
        link.unlink(missing_ok=True)
        link.symlink_to(folder.resolve())
        link.replace(self._latest)
