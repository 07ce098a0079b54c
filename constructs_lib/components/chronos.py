"""Chronos: jobs on a schedule. Every master has it, one runs it: the one whose Mesos master leads.

Its watchdog starts and stops it there, and restarts it when it has lost its framework, as it does now and
then after a change of leader.
"""

from __future__ import annotations

from constructs_lib.components.alert import Alert
from constructs_lib.components.model import (
    CommandSucceeds,
    Component,
    ContainerImage,
    Directory,
    File,
    Port,
    Role,
    Secret,
    UnitActive,
)

UNIT = "chronos.service"
LED = "clustermesos_mesos_led_timestamp_seconds"
"""When this node's Mesos master led last."""
TIMER = "chronos-watchdog.timer"
WATCHDOG = "/usr/local/libexec/chronos-watchdog"

CHRONOS = Component(
    name="chronos",
    summary="jobs on a schedule, one instance at a time, beside the leading Mesos master",
    roles=(Role.MASTER,),
    software=ContainerImage(name="mesosphere/chronos", version="v3.0.2"),
    also_runs_from=("preinstalled",),
    optional=True,
    ports=(
        Port("http", 4400, (Role.MASTER, Role.CONSUL, Role.GATEWAY), "consoles", service="chronos"),
        Port("scheduler", 4401, (Role.MASTER,), "the leading Mesos master sends offers"),
    ),
    files=(
        File("args.j2", to="/etc/chronos/args", restarts=UNIT),
        File("chronos.service.j2", to=f"/etc/systemd/system/{UNIT}", restarts=UNIT),
        File("chronos-watchdog", to=WATCHDOG, mode=0o755, carried=True),
        File("chronos-watchdog.service", to="/etc/systemd/system/chronos-watchdog.service"),
        File("chronos-watchdog.timer", to=f"/etc/systemd/system/{TIMER}", restarts=TIMER),
    ),
    directories=(Directory(path="/etc/chronos"),),
    units=(TIMER,),
    secrets=(
        Secret(
            name="mesos_chronos_password",
            kind="password",
            roles=(Role.MASTER,),
            to="/etc/chronos/mesos-password",
            restarts=UNIT,
        ),
        Secret(
            name="chronos_zookeeper_password",
            kind="password",
            roles=(Role.MASTER,),
            to="/etc/chronos/zookeeper-password",
            restarts=UNIT,
        ),
    ),
    alerts=(
        # Its watchdog asks the Mesos master of its own node whether it leads.
        Alert(
            name="MesosLeaderless",
            expr=f"(time() - max({LED})) > 180 or absent({LED})",
            summary="no Mesos master leads: tasks run on, and none is started",
            next="clustermesos-health on each master; is ZooKeeper's quorum there?",
        ),
    ),
    health=(UnitActive(unit=TIMER), CommandSucceeds(command=(WATCHDOG, "--check"))),
    ready_within=900,
)
