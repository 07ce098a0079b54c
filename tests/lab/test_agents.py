"""First boots of an agent under bad conditions."""

from __future__ import annotations

import json
from functools import partial

import pytest

from constructs_lib.lab.keeper import KeptLab
from constructs_lib.lab.machine import Done
from tests.lab.asking import LONG, MASTERS, agents_of, consul_members, quorum, says, seen, stays, until
from tests.lab.drill import Drill
from tests.lab.healthy import BOOT_SECONDS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
AGENT = "general-1"
REFUSED = "Master .* refused authentication"
LACKING = "unattended-upgrades"
PERCENT = 20
MARKS = "/var/lib/cloud/instance/sem"
HOLD = """
mkdir -p /run/systemd/system/cloud-final.service.d
printf '[Service]\\nExecStartPre=/bin/sleep infinity\\n' >/run/systemd/system/cloud-final.service.d/hold.conf
systemctl daemon-reload
"""
"""Until the power goes, which empties /run."""


def _waits_for(lab: KeptLab, package: str) -> str:
    """What the agent says last of the package that apt-get has to bring; empty while it does not wait."""
    lines = lab.run(AGENT, "cat", "/var/log/cloud-init-output.log").out.splitlines()
    told = [line.partition("waiting at most")[2] for line in lines]
    waiting = [words for words in told if "apt-get" in words and package in words]
    return waiting[-1] if waiting else ""


def test_package_mirror_down_during_first_boot_and_back(lab: KeptLab, drill: Drill) -> None:
    drill.breaks(
        "an agent boots for the first time while the package mirror is down, and its image lacks a package",
        "it tries again, says what it waits for, and goes on by itself once the mirror is back",
    )
    lab.destroy(AGENT, keep_data=False)
    lab.mirror(up=False)
    try:
        lab.rebuild(AGENT, lacking=[LACKING])
        said = seen("it says what it waits for", BOOT_SECONDS, partial(_waits_for, lab, LACKING))
        drill.saw(f"it waits at most{said}")
    finally:
        lab.mirror(up=True)
    until("it is healthy", BOOT_SECONDS, lambda: lab.run(AGENT, "clustermesos-health", "--brief").code == 0)
    installed = "Status: install ok installed"
    until("it is installed", LONG, lambda: installed in says(lab, AGENT, "dpkg", "-s", LACKING))
    drill.saw("the mirror is back: installed and healthy")
    # cloud-init remembers the failed installation as an error of this boot; a new agent has none.
    lab.destroy(AGENT, keep_data=False)
    lab.rebuild(AGENT)
    lab.wait(BOOT_SECONDS)


def test_slow_first_boot(lab: KeptLab, drill: Drill) -> None:
    drill.breaks(
        f"an agent boots for the first time with {PERCENT} % of one CPU",
        "it is slow and not broken: no wait gives up, and it becomes healthy",
    )
    lab.destroy(AGENT, keep_data=False)
    lab.limit_cpu(AGENT, PERCENT)
    try:
        lab.rebuild(AGENT)
        lab.wait(BOOT_SECONDS * 2, AGENT)
        drill.saw("healthy")
    finally:
        lab.limit_cpu(AGENT, None)
    assert says(lab, AGENT, "systemctl", "--failed", "--plain", "--no-legend") == ""


def test_power_lost_in_the_middle_of_a_first_boot(lab: KeptLab, drill: Drill) -> None:
    drill.breaks(
        "an agent loses power while its first boot has installed half of it; cloud-init does not begin again",
        "with the power back it goes on by itself, and becomes healthy",
    )
    lab.destroy(AGENT, keep_data=False)
    lab.rebuild(AGENT)
    log = "/var/log/cloud-init-output.log"
    until("Docker is installed", BOOT_SECONDS, lambda: "docker is healthy" in lab.run(AGENT, "cat", log).out)
    lab.crash(AGENT)
    drill.saw("no power")
    lab.start(AGENT)
    lab.wait(BOOT_SECONDS, AGENT)
    journal = ("journalctl", "-b", "-u", "clustermesos-apply.service", "-o", "cat")
    # Every component can be healthy a moment before the unit says that it has ended.
    until("its unit says so", LONG, lambda: "generation 1 is applied" in says(lab, AGENT, *journal))
    drill.saw("clustermesos-apply.service went on with it: healthy")
    assert says(lab, AGENT, "systemctl", "--failed", "--plain", "--no-legend") == ""
    until("it is a member", LONG, lambda: consul_members(lab)[AGENT] == "alive")


def test_power_lost_between_what_cloud_init_marks_and_what_it_runs(lab: KeptLab, drill: Drill) -> None:
    drill.breaks(
        "an agent loses power when cloud-init has marked its modules as done and has not run the commands",
        "with the power back cloud-init begins again, and the node becomes healthy without an error",
    )
    lab.destroy(AGENT, keep_data=False)
    lab.rebuild(AGENT)
    seen("cloud-init's last part is held", LONG, lambda: lab.run(AGENT, "sh", "-c", HOLD), _succeeded)
    marked = (
        f"systemctl is-active cloud-config.service && ls {MARKS}/config_write_files {MARKS}/config_runcmd"
    )
    seen("cloud-init has marked them", BOOT_SECONDS, lambda: lab.run(AGENT, "sh", "-c", marked), _succeeded)
    # As cloud-init does in the moment before it runs the commands.
    says(lab, AGENT, "touch", f"{MARKS}/config_scripts_user")
    assert lab.run(AGENT, "systemctl", "is-enabled", "clustermesos-apply.service").code != 0
    assert lab.run(AGENT, "test", "-e", "/var/lib/clustermesos/wanted").code == 1
    lab.crash(AGENT)
    drill.saw("write_files, runcmd and scripts_user are marked, nothing was run; no power")
    lab.start(AGENT)
    lab.wait(BOOT_SECONDS, AGENT)
    assert json.loads(says(lab, AGENT, "clustermesos-apply", "status"))["applied"] == 1
    drill.saw("cloud-init ran them again: healthy")
    until("it is a member", LONG, lambda: consul_members(lab)[AGENT] == "alive")


def _succeeded(done: Done) -> bool:
    return done.code == 0


def test_wrong_secret(lab: KeptLab, drill: Drill) -> None:
    wrong = "bm90LXRoZS1rZXktb2YtdGhpcy1jbHVzdGVyLWF0LWE="
    drill.breaks(
        "an agent gets another gossip key than the cluster has",
        "it stays out and says which component is not healthy; nobody else is disturbed; no log has the key",
    )
    lab.destroy(AGENT, keep_data=False)
    try:
        lab.rebuild(AGENT, secrets={"consul_gossip_key": wrong})
        log = "/var/log/cloud-init-output.log"
        until("it says who", 180, lambda: "consul is not healthy" in lab.run(AGENT, "cat", log).out)
        said = [line for line in says(lab, AGENT, "cat", log).splitlines() if "consul is not healthy" in line]
        drill.saw(f"it says: {said[-1].partition('waiting')[2]}")
        # The machine that was destroyed is alive to Consul until gossip misses it.
        until("its former membership has ended", 120, lambda: consul_members(lab)[AGENT] != "alive")
        stays(
            "it is out, all others are alive",
            lambda: consul_members(lab),
            lambda members: (
                members[AGENT] != "alive" and {members[name] for name in (*MASTERS, "consul-1")} == {"alive"}
            ),
        )
        drill.saw("Consul keeps it out, all others are alive")
        assert lab.run(AGENT, "grep", "-rl", wrong, "/var/log", "/run/log").out == ""
    finally:
        lab.destroy(AGENT, keep_data=False)
        lab.rebuild(AGENT)
    lab.wait(BOOT_SECONDS)
    until("it is a member", 120, lambda: consul_members(lab)[AGENT] == "alive")
    drill.saw("with the right key a member")


def test_wrong_mesos_secret(lab: KeptLab, drill: Drill) -> None:
    wrong = "not-the-password-of-this-cluster"
    drill.breaks(
        "an agent gets another password for the Mesos masters than they have",
        "no master registers it, and its log says why; the rest goes on; no log has the password",
    )
    lab.destroy(AGENT, keep_data=False)
    try:
        lab.rebuild(AGENT, secrets={"mesos_agent_password": wrong})
        refused = f"journalctl --boot --unit mesos-agent.service --output=cat | grep '{REFUSED}' | tail -n 1"
        said = seen("a master refuses it", BOOT_SECONDS, lambda: says(lab, AGENT, "sh", "-c", refused))
        drill.saw(f"it says: {said[said.index('Master ') :]}")
        stays("it is registered nowhere", lambda: agents_of(lab), lambda agents: agents == [])
        quorum(lab)
        drill.saw("no master has it, the masters keep their quorum")
        assert lab.run(AGENT, "grep", "-rl", wrong, "/var/log", "/run/log").out == ""
    finally:
        lab.destroy(AGENT, keep_data=False)
        lab.rebuild(AGENT)
    lab.wait(BOOT_SECONDS)
    seen("it is registered", LONG, lambda: agents_of(lab))
    drill.saw("with the right password registered")
