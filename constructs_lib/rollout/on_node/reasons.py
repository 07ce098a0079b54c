"""Why a node is not healthy."""

from __future__ import annotations

import json
import subprocess

from constructs_lib.rollout.on_node.state import Data, Node


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
