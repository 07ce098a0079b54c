"""The unit that applies a node's files at each boot, and steps aside for an operator."""

from __future__ import annotations

import subprocess

from constructs_lib.rollout.on_node.state import RefusedError

UNIT = "clustermesos-apply.service"
"""Tries again after a boot that failed, and would take the lock between an apply and its rollback."""
STOPS_WITHIN = 120
"""Seconds that systemd may take to end it: 90 until it kills, and a machine that is busy."""


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
