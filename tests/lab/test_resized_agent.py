"""An agent's machine comes back with other resources than it had."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import LONG, agents_of, reboot, says, seen, until
from tests.lab.drill import Drill
from tests.lab.healthy import BOOT_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
AGENT = "general-1"
UNIT = "mesos-agent.service"
ONLINE = "/sys/devices/system/cpu/online"
"""Where the C library reads how many CPUs there are; a lab's machines all see those of the computer."""
SIZE = f"""[Unit]
Description=The machine's size in a drill
DefaultDependencies=no
Before=sysinit.target
[Service]
Type=oneshot
ExecStart=/usr/bin/mount --bind /etc/drill-cpus {ONLINE}
[Install]
WantedBy=sysinit.target
"""
RESERVED = 0.25
"""CPUs of every agent that it does not offer."""
ANEW, REFUSED = "registers as a new agent", "Mesos would refuse this agent"
REGISTERED_SECONDS = LONG


@pytest.fixture
def resizable(lab: KeptLab) -> Iterator[KeptLab]:
    """The agent's machine has at its next boot as many CPUs as `_resize` says."""
    put = "cat >/etc/systemd/system/drill-size.service && systemctl enable drill-size.service"
    assert lab.run(AGENT, "sh", "-c", put, stdin=SIZE).code == 0
    yield lab
    # Agents are replaced, never repaired.
    lab.destroy(AGENT, keep_data=False)
    lab.rebuild(AGENT)
    lab.wait(BOOT_SECONDS)


def _resize(lab: KeptLab, cpus: int) -> None:
    # In place: a file that took the name of the old one would not be seen below the mount.
    says(lab, AGENT, "sh", "-c", f"echo 0-{cpus - 1} >/etc/drill-cpus")


def _cpus(lab: KeptLab) -> int:
    return int(says(lab, AGENT, "getconf", "_NPROCESSORS_ONLN"))


def _said(lab: KeptLab, what: str) -> str:
    """The agent's last line in this boot's journal with these words."""
    words = ("journalctl", "--boot", "--unit", UNIT, "--output=cat", "--grep", what)
    return (lab.run(AGENT, *words).out.strip().splitlines() or [""])[-1]


def _id(lab: KeptLab) -> str:
    """The agent's id, by its own memory; empty from giving up a former one until it is registered."""
    return says(lab, AGENT, "sh", "-c", 'basename "$(readlink /var/lib/mesos/meta/slaves/latest)"')


def _registered(lab: KeptLab, id: str, cpus: int) -> bool:
    """Whether the leading master has this agent and no other of the machine, offering what `cpus` leave."""
    return [(one["id"], one["resources"]["cpus"]) for one in agents_of(lab, AGENT)] == [(id, cpus - RESERVED)]


def _reboot(lab: KeptLab, cpus: int) -> None:
    _resize(lab, cpus)
    reboot(lab, AGENT)
    lab.wait(BOOT_SECONDS, AGENT)
    assert _cpus(lab) == cpus


def test_agent_resized_so_that_its_resources_differ(resizable: KeptLab, drill: Drill) -> None:
    lab, size = resizable, _cpus(resizable)
    more, less, least = size + 2, size + 1, size
    first = seen("it has an id", REGISTERED_SECONDS, lambda: _id(lab))
    until("it is registered", REGISTERED_SECONDS, lambda: _registered(lab, first, size))
    drill.breaks(
        f"an agent's machine of {size} CPUs comes back with {more}, then with {less}, and then has {least} "
        "without a reboot",
        "with more it stays the agent that it was; back with less it registers as a new one by itself; while "
        "tasks may run it waits for an operator rather than forget them",
    )
    _reboot(lab, more)
    until("it is registered with more", REGISTERED_SECONDS, lambda: _registered(lab, first, more))
    assert _id(lab) == first
    drill.saw(f"rebooted with {more}: the same agent, offers {more - RESERVED} CPUs")
    _reboot(lab, less)
    second = seen(
        "it has another id", REGISTERED_SECONDS, lambda: _id(lab), lambda found: found not in ("", first)
    )
    until("it is registered with less", REGISTERED_SECONDS, lambda: _registered(lab, second, less))
    drill.saw(
        f"rebooted with {less}: a new agent, offers {less - RESERVED} CPUs; it says: {_said(lab, ANEW)}"
    )
    _resize(lab, least)
    lab.run(AGENT, "systemctl", "restart", UNIT)
    until("it is refused", REGISTERED_SECONDS, lambda: _said(lab, REFUSED) != "")
    assert _id(lab) == second
    drill.saw(f"no reboot, {least}: it does not start, and says: {_said(lab, REFUSED).rstrip('.')}")
    _resize(lab, less)
    until("it is back as it was", REGISTERED_SECONDS, lambda: _registered(lab, second, less))
    lab.wait(BOOT_SECONDS, AGENT)
    drill.saw("the change taken back: the same agent again, without a hand")
