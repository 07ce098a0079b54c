"""A node in a temporary folder: the real clustermesos-apply, with a double of systemctl before it on PATH."""

from __future__ import annotations

import grp
import json
import os
import pwd
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import constructs_lib

UNIT = "web.service"
CONF = "/etc/web/web.conf"
STAGE = {"component": "web", "units": [UNIT], "seconds": 5, "checks": []}
UNIT_CHECK = [UNIT]
PROGRAM = Path(constructs_lib.__file__).parent / "cloud_init" / "base" / "clustermesos-apply"
OWNER = f"{pwd.getpwuid(os.getuid()).pw_name}:{grp.getgrgid(os.getgid()).gr_name}"

SYSTEMCTL_DOUBLE = """#!/bin/sh
# Double of systemctl: writes down each call; every unit is active unless $DOUBLES/inactive names it.
echo "$*" >>"$DOUBLES/calls"
if [ -e "$DOUBLES/fail" ] && grep -qx "$*" "$DOUBLES/fail"; then echo "Job for $2 failed." >&2; exit 1; fi
if [ "$1" = show ]; then
    if [ -e "$DOUBLES/absent" ] && grep -qx "$4" "$DOUBLES/absent"; then echo not-found; else echo loaded; fi
fi
if [ "$1" = is-active ]; then
    if [ -e "$DOUBLES/inactive" ] && grep -qx "$2" "$DOUBLES/inactive"; then echo inactive; exit 3; fi
    echo active
fi
"""

SECRET_DOUBLE = """#!/bin/sh
# Double of a secret source: prints what the file of the secret's name holds.
echo "$1" >>"$DOUBLES/secret-calls"
cat "$DOUBLES/secrets/$1"
"""


@dataclass
class Node:
    """`root` is the node's /; generations are sent to it as cloud-init or an operator would."""

    folder: Path
    root: Path = field(init=False)
    doubles: Path = field(init=False)

    def __post_init__(self) -> None:
        self.root, self.doubles = self.folder / "root", self.folder / "doubles"
        (self.doubles / "secrets").mkdir(parents=True)
        self.root.mkdir()
        self.double("systemctl", SYSTEMCTL_DOUBLE)
        self.double("journalctl", "#!/bin/sh\n# Double of journalctl.\nprintf 'first\\nlast words\\n'\n")
        self.double("get-secret", SECRET_DOUBLE)
        self.double("dpkg", "#!/bin/sh\n# Double of dpkg: nothing is half done.\n")

    def double(self, name: str, script: str) -> None:
        path = self.doubles / name
        path.write_text(script)
        path.chmod(0o755)

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    @property
    def state(self) -> Path:
        return self.at("/var/lib/clustermesos")

    def send(self, files: dict[str, str], **manifest: Any) -> None:
        """Put a generation into incoming; `units` maps a path to what its change restarts."""
        restarts, reloads = manifest.pop("restarts", {}), manifest.pop("reloads", {})
        live = manifest.pop("live", {})
        incoming = self.state / "incoming"
        incoming.mkdir(parents=True, exist_ok=True)
        entries = []
        for path, content in files.items():
            target = incoming / "files" / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(content, newline="")
            entry = {"path": path, "mode": "0640", "owner": OWNER}
            entry |= {"restarts": restarts[path]} if path in restarts else {}
            entry |= {"reloads": reloads[path]} if path in reloads else {}
            entry |= {"live": live[path]} if path in live else {}
            entries.append(entry)
        empty: dict[str, Any] = {
            "format": 1,
            "users": [],
            "packages": [],
            "volume": None,
            "directories": [],
            "secret_command": str(self.doubles / "get-secret"),
            "secrets": [],
            "boot_units": [],
            "proxy": None,
            "stages": [],
        }
        (incoming / "manifest.json").write_text(json.dumps(empty | manifest | {"files": entries}))

    def secret(self, name: str, value: str) -> None:
        (self.doubles / "secrets" / name).write_text(value)

    def apply(
        self,
        command: str = "apply",
        *,
        patience: int = 1,
        before: tuple[str, ...] = (),
        more: tuple[str, ...] = (),
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*before, *self.command(command, patience=patience), *more],
            capture_output=True,
            text=True,
            env=self.environment(),
            check=False,
            timeout=180,
        )

    def command(self, command: str, *, patience: int = 1) -> list[str]:
        script = str(PROGRAM)
        return [sys.executable, script, command, "--root", str(self.root), "--patience", str(patience)]

    def environment(self) -> dict[str, str]:
        path = f"{self.doubles}:{os.environ['PATH']}:/usr/sbin:/sbin"
        return os.environ | {"PATH": path, "DOUBLES": str(self.doubles)}

    def calls(self) -> list[str]:
        """What systemctl was asked for since the last look."""
        log = self.doubles / "calls"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def status(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.apply("status").stdout)
        return answer
