"""Every shell script of the repository passes shellcheck; those of nodes do as rendered (test_readers.py)."""

from __future__ import annotations

import re
import subprocess

from scripts.progress import ROOT
from tests.conftest import need

FOLDERS = (".ci", "bench", "cloud-init", "constructs_lib", "examples", "scripts", "stacks", "tests")
A_SHELL = re.compile(r"#!.*\b(ba|da)?sh\b")
KNOWN = {
    ".ci/run",
    "constructs_lib/lab/image/lab-devices",
    "constructs_lib/lab/image/lab-init",
    "constructs_lib/lab/image/mkfs.ext4",
    "constructs_lib/lab/image/tailor.sh",
    "constructs_lib/simulator/node/mesos-init-wrapper",
    "scripts/system_packages.sh",
}
"""Some that have to be found."""


def scripts() -> dict[str, str]:
    """Path → text of every file that names a shell in its first line."""
    found: dict[str, str] = {}
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and path.suffix not in (".j2", ".pyc") and "golden" not in path.parts:
                first = path.read_bytes().partition(b"\n")[0].decode(errors="replace")
                if A_SHELL.match(first):
                    found[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
    return found


def test_shellcheck_finds_nothing_in_any_script() -> None:
    found = scripts()
    assert found.keys() >= KNOWN

    done = subprocess.run(
        [need("shellcheck"), *sorted(found)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert done.returncode == 0, done.stdout
