"""Who types a command, for those who find what it left."""

from __future__ import annotations

import getpass
import os


def person() -> str:
    """The user's name; their number where nobody of that number has a name, as in a container."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
