"""An agent's `docker pull` for a task, as Mesos' docker containerizer runs it; nothing else of the task."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from constructs_lib.simulator.flags import Given

_LONGEST = 900


class PullError(Exception):
    """Docker said no, in Mesos' words."""


def pull(image: str, flags: Given, environ: Mapping[str, str]) -> None:
    """Fetch `image` with the login that the agent's Docker finds.

    `environ` is the agent's own, but for HOME: that is the task's sandbox, which is new here and has no
    config, or a folder with what `--docker_config` says.

    Raises:
        PullError: what the task would fail with.
    """
    socket = flags.get("docker_socket", "/var/run/docker.sock")
    command = [flags.get("docker", "docker"), "-H", f"unix://{socket}", "pull", image]
    with tempfile.TemporaryDirectory(dir=flags["work_dir"], prefix="sandbox-") as home:
        if "docker_config" in flags:
            _write_config(Path(home), flags["docker_config"])
        try:
            done = subprocess.run(
                command,
                env={**environ, "HOME": home},
                capture_output=True,
                text=True,
                check=False,
                timeout=_LONGEST,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise PullError(f"Failed to execute '{' '.join(command)}': {error}") from None
    if done.returncode:
        how = f"exited with status {done.returncode}; stderr='{done.stderr}'"
        raise PullError(f"Failed to run '{' '.join(command)}': {how}")


def _write_config(home: Path, config: Mapping[str, object]) -> None:
    path = home / ".docker/config.json" if "auths" in config else home / ".dockercfg"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(config))
