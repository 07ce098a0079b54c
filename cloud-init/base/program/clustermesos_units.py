"""Units, by systemctl."""

from __future__ import annotations

import os

from clustermesos_node import Failure, ask, run


def enable(unit: str) -> None:
    """For the next boot. systemd need not read all of its units anew for that, once for each unit."""
    # Where the package has an init script too, that would be enabled as well, with two reloads.
    os.environ["SYSTEMCTL_SKIP_SYSV"] = "1"
    systemctl("enable --no-reload", unit)


def systemctl(verb: str, unit: str) -> None:
    try:
        run("systemctl", *verb.split(), unit)
    except Failure:
        # What systemctl says itself is only where to look.
        words = ask("journalctl", "-q", "-o", "cat", "-n", "3", "-u", unit).stdout.splitlines()
        raise Failure(f"systemctl {verb} {unit} failed; its journal ends with: {' | '.join(words)}") from None


def exists(unit: str) -> bool:
    return run("systemctl", "show", "-P", "LoadState", unit).strip() != "not-found"
