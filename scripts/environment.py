"""Makes ``.venv`` from ``requirements/dev.lock``, with hashes, and installs this clone into it as editable.

Runs under the system's Python with its standard library only. A second run does nothing: a stamp in the
environment holds the hash of the lock. A changed lock makes the environment anew, so that a package which the
lock no longer names can't hide a missing dependency.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from scripts.progress import ROOT, StepError, already, one_line_errors, run_logged, state_folder, step

VENV = ROOT / ".venv"
LOCK = ROOT / "requirements" / "dev.lock"
OLDEST_PYTHON = (3, 11)
_PIP_INSTALL: list[str | Path] = [
    *(VENV / "bin" / "python", "-m", "pip", "--disable-pip-version-check"),
    *("install", "--no-input"),
]


def digest(*files: Path) -> str:
    """The first 16 hex digits of the SHA-256 over the contents of ``files``."""
    together = hashlib.sha256()
    for file in files:
        together.update(hashlib.sha256(file.read_bytes()).digest())
    return together.hexdigest()[:16]


def check_python() -> None:
    """Refuse a Python that is too old or can't make virtual environments.

    Raises:
        StepError: with what to install.
    """
    if sys.version_info < OLDEST_PYTHON:
        raise StepError(
            f"Python {sys.version_info[0]}.{sys.version_info[1]} is too old, 3.11 or newer is needed: "
            "make PYTHON=python3.12 …"
        )
    if importlib.util.find_spec("ensurepip") is not None:
        return
    if os.geteuid() == 0 and shutil.which("apt-get"):
        with step("python3-venv is missing: apt-get installs it"):
            log = state_folder() / "logs" / "apt-python3-venv.log"
            quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            run_logged(["apt-get", "update"], log, env=quiet)
            install = ["apt-get", "install", "-y", "--no-install-recommends"]
            run_logged([*install, _venv_package()], log, env=quiet)
        return
    raise StepError(f"Python's venv module is incomplete: sudo apt-get install {_venv_package()}")


def _venv_package() -> str:
    return f"python3.{sys.version_info[1]}-venv"


def _interpreter_works() -> bool:
    python = VENV / "bin" / "python"
    if not python.exists():
        return False
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def make_environment() -> None:
    """Make or renew ``.venv``; nothing is done where its stamps fit.

    Raises:
        StepError: no suitable Python, registry or disk.
    """
    locked = VENV / "locked.stamp"
    wanted = f"{digest(LOCK)} {sysconfig.get_python_version()}"
    fits = locked.exists() and locked.read_text() == wanted and _interpreter_works()
    if not fits:
        check_python()
        _install_lock()
        locked.write_text(wanted)
    if _install_project() or not fits:
        return
    already("python environment .venv")


def _install_lock() -> None:
    logs = state_folder() / "logs"
    with step(f"python environment .venv from {LOCK.relative_to(ROOT)}"):
        run_logged([sys.executable, "-m", "venv", "--clear", VENV], logs / "venv.log")
        run_logged([*_PIP_INSTALL, "--no-deps", "--require-hashes", "-r", LOCK], logs / "pip-dev.log")


def _install_project() -> bool:
    """Install the clone as editable; false where this pyproject.toml was installed already."""
    stamp = VENV / "project.stamp"
    wanted = digest(ROOT / "pyproject.toml")
    if stamp.exists() and stamp.read_text() == wanted:
        return False
    with step("clustermesos itself, editable"):
        log = state_folder() / "logs" / "pip-project.log"
        run_logged([*_PIP_INSTALL, "--no-deps", "--no-build-isolation", "--editable", ROOT], log)
    stamp.write_text(wanted)
    return True


if __name__ == "__main__":
    with one_line_errors():
        make_environment()
