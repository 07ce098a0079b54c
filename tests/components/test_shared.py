"""The shared file system of a pool: agents wait for it, however long its server is away."""

from __future__ import annotations

import configparser
import copy
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import WHOLE

MOUNT = "srv-shared.mount"


def agent() -> NodeFiles:
    spec: dict[str, Any] = copy.deepcopy(WHOLE)
    spec["sites"]["eu"]["agents"]["general"]["shared"] = {"source": "10.20.0.5:/export"}
    planned = plan(ClusterSpec.model_validate(spec)).site("eu")
    return render(planned, next(pool for pool in planned.pools if pool.name == "general"))


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(agent().file(f"/etc/systemd/system/{name}").content)
    return parser


def test_an_agent_tries_the_mount_again_at_each_of_its_own_restarts() -> None:
    """A unit whose requirement failed is not started, and Restart= starts it no more."""
    added, own = unit("mesos-agent.service.d/shared.conf"), unit("mesos-agent.service")

    assert dict(added["Unit"]) == {"After": MOUNT}
    assert added["Service"]["ExecStartPre"].startswith(f'/bin/sh -c "systemctl start {MOUNT} || ')
    assert own["Service"]["Restart"] == "always"
    # The mount may be tried as often as the agent is, and in less time than the agent's start has.
    assert unit(MOUNT)["Unit"]["StartLimitIntervalSec"] == "0"
    assert unit(MOUNT)["Mount"]["TimeoutSec"] == "60"


@pytest.mark.parametrize(
    ("ends", "said"), [(0, ""), (1, f"not mounted, so no task may start: journalctl -u {MOUNT}")]
)
def test_an_agent_starts_with_the_mount_alone_and_says_where_to_look_without_it(
    ends: int, said: str, tmp_path: Path
) -> None:
    """systemd splits a command into words as a shell does; systemctl is a double."""
    command = shlex.split(unit("mesos-agent.service.d/shared.conf")["Service"]["ExecStartPre"])
    (tmp_path / "systemctl").write_text(f'#!/bin/sh\n[ "$*" = "start {MOUNT}" ] && exit {ends}\n')
    (tmp_path / "systemctl").chmod(0o755)
    here = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180, env=here)

    assert done.returncode == ends
    assert done.stderr.endswith(f"{said}\n") if said else done.stderr == ""
