"""Writes ``requirements/*.lock`` from pyproject.toml (and the npm lock of the cdktf command): ``make lock``.

The locks are universal (one file for Python 3.11 and later), have hashes, and name no registry: whoever
installs them uses the registry that their own pip and npm are configured for. Pins that still fit are kept;
``make lock UPGRADE=1`` takes the newest versions.
"""

from __future__ import annotations

import subprocess
import sys

from scripts.environment import VENV
from scripts.progress import ROOT, StepError, one_line_errors, step
from scripts.tools import NPM_FOLDER, TOOLS


def _group(name: str) -> list[str]:
    return ["--group", f"pyproject.toml:{name}"]


LOCKS: dict[str, list[str]] = {
    "dev": [
        "--extra=cdktf",
        "--extra=cdktn",
        "--extra=aws",
        "--extra=simulator",
        *_group("dev"),
        "pyproject.toml",
    ],
    "terraform": _group("terraform"),
    "aws-plugin": _group("aws-plugin"),
    "checkov": _group("checkov"),
    "go": _group("go"),
    "lock": _group("lock"),
}
"""Lock name → what it is made from."""

_UV_OPTIONS = (
    "--universal",
    "--python-version=3.11",
    "--generate-hashes",
    "--no-emit-index-url",
    "--no-emit-find-links",
    "--custom-compile-command=make lock",
    "--quiet",
)
_NPM = (
    str(TOOLS / "bin" / "npm"),
    f"--prefix={NPM_FOLDER}",
    "--ignore-scripts",
    "--package-lock-only",
    "--omit-lockfile-registry-resolved",
    "--no-audit",
    "--no-fund",
)


def _run(command: list[str]) -> None:
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        raise StepError(f"{' '.join(command[:4])} … failed")


def write_locks(*, upgrade: bool) -> None:
    """Compile every lock.

    Args:
        upgrade: take the newest versions that pyproject.toml allows, instead of keeping the pins that fit.
    """
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
    uv = [str(VENV / "bin" / "uv"), "pip", "compile", *_UV_OPTIONS, *(["--upgrade"] if upgrade else [])]
    with step("uv, which writes the locks"):
        _run([*pip, "install", "--quiet", "--no-input", "--require-hashes", "-r", "requirements/lock.lock"])
    for name, sources in LOCKS.items():
        with step(f"requirements/{name}.lock"):
            _run([*uv, *sources, "--output-file", f"requirements/{name}.lock"])
    with step(f"{NPM_FOLDER.relative_to(ROOT)}/package-lock.json"):
        _run([*_NPM, "update" if upgrade else "install"])


if __name__ == "__main__":
    with one_line_errors():
        write_locks(upgrade="--upgrade" in sys.argv[1:])
