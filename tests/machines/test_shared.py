"""The shared file system of an agent that boots: nothing of Mesos runs before it is mounted.

No kernel that a lab runs on has to know NFS: a double of mount.nfs mounts something else there, or fails.
"""

from __future__ import annotations

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import reboot, says, seen, stays
from tests.lab.healthy import BOOT_SECONDS
from tests.machines.conftest import BACK

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
AGENT, UNIT, MOUNT = "shared-1", "mesos-agent.service", "srv-shared.mount"
AWAY = "#!/bin/sh\n# Double of mount.nfs: its server is away.\necho 'mount.nfs: timed out' >&2\nexit 32\n"


def helper(lab: KeptLab, text: str) -> None:
    put = "rm -f /sbin/mount.nfs /sbin/mount.nfs4; cat >/sbin/mount.nfs; chmod 755 /sbin/mount.nfs"
    done = lab.run(AGENT, "sh", "-c", put, stdin=text)
    assert done.code == 0, done.err


def booted(lab: KeptLab) -> None:
    """Healthy, started by whichever test comes first."""
    if not any(state.on for state in lab.states() if state.name == AGENT):
        lab.start(AGENT)
    lab.wait(BOOT_SECONDS, AGENT)


def shown(lab: KeptLab, unit: str, what: str) -> str:
    return says(lab, AGENT, "systemctl", "show", f"--property={what}", "--value", unit)


def journal(lab: KeptLab) -> str:
    return says(lab, AGENT, "journalctl", "--boot", "--output=cat", "--unit", UNIT)


def not_mounted(lab: KeptLab) -> None:
    """The agent is tried again and again, never starts, and says why."""
    seen("the agent was tried twice", BOOT_SECONDS, lambda: int(shown(lab, UNIT, "NRestarts")) > 1)
    stays("no agent runs", lambda: shown(lab, UNIT, "ExecMainStartTimestampMonotonic"), lambda at: at == "0")
    assert "/srv/shared is not mounted, so no task may start" in journal(lab)
    health = lab.run(AGENT, "clustermesos-health", "--brief")
    assert health.code != 0 and MOUNT in health.out


def mounted_first(lab: KeptLab) -> None:
    """It was mounted before the agent's own process began."""
    seen("the agent is healthy", BOOT_SECONDS, lambda: lab.run(AGENT, "clustermesos-health").code == 0)
    assert says(lab, AGENT, "findmnt", "--noheadings", "--output=SOURCE", "/srv/shared") == "double"
    mounted = int(shown(lab, MOUNT, "ActiveEnterTimestampMonotonic"))
    assert 0 < mounted < int(shown(lab, UNIT, "ExecMainStartTimestampMonotonic"))


def test_an_agent_boots_with_its_shared_file_system_mounted_first(machines: KeptLab) -> None:
    booted(machines)

    mounted_first(machines)


def test_while_the_server_is_away_no_agent_starts_and_it_says_why_until_it_is_back(machines: KeptLab) -> None:
    booted(machines)
    helper(machines, AWAY)
    reboot(machines, AGENT)
    not_mounted(machines)

    helper(machines, BACK)

    mounted_first(machines)
