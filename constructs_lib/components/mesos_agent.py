"""Mesos agents (ClusterD): run the tasks, in Docker or in Mesos' own containers.

What differs between machines of a pool (resources, fault domain, Docker's API) is computed on the node.
"""

from __future__ import annotations

from constructs_lib.components.mesos_master import CLUSTERD, LIBRARIES
from constructs_lib.components.model import Component, Directory, File, HttpOk, Port, Role, Secret

UNIT = "mesos-agent.service"
TASK_PORTS = (31000, 32000)
"""The ports that an agent offers, as `cloud-init/mesos_agent/mesos-agent-config` has them too."""

MESOS_AGENT = Component(
    name="mesos_agent",
    summary="Mesos agent: offers the machine's resources and runs tasks",
    roles=(Role.AGENT,),
    software=CLUSTERD,
    also_runs_from=("preinstalled",),
    packages=(*LIBRARIES, "logrotate"),
    ports=(
        Port(
            "http",
            5051,
            (Role.MASTER, Role.CONSUL, Role.GATEWAY),
            "masters launch tasks; consoles; metrics",
            service="mesos-agent",
            from_sites=(Role.MASTER,),
        ),
        Port(
            "tasks",
            TASK_PORTS[0],
            (Role.MASTER, Role.CONSUL, Role.AGENT, Role.GATEWAY, Role.EDGE),
            "what tasks offer, on the ports that Mesos gives them",
            # A container that asks for its own node's published port comes in at Docker's bridge.
            to_containers=True,
            last=TASK_PORTS[1],
        ),
    ),
    files=(
        File("mesos-agent.j2", to="/etc/default/mesos-agent", restarts=UNIT),
        File("no-logger", to="/etc/mesos-agent/?no-logger", restarts=UNIT),
        File("agent.json.j2", to="/etc/mesos/agent.json", restarts=UNIT),
        File("mesos-agent-config", to="/usr/local/libexec/mesos-agent-config", mode=0o755, restarts=UNIT),
        File("task-logs", to="/etc/logrotate.d/mesos-tasks"),
        File(
            "hourly.conf",
            to="/etc/systemd/system/logrotate.timer.d/hourly.conf",
            restarts="logrotate.timer",
        ),
        File("mesos-agent.service.j2", to=f"/etc/systemd/system/{UNIT}", restarts=UNIT),
    ),
    directories=(
        Directory(path="/etc/mesos/secrets", mode=0o700),
        Directory(path="/var/lib/mesos"),
    ),
    units=(UNIT,),
    secrets=(
        Secret(
            name="mesos_agent_password",
            kind="password",
            roles=(Role.AGENT,),
            to="/etc/mesos/secrets/agent",
            restarts=UNIT,
        ),
        Secret(
            name="mesos_agent_operator_password",
            kind="password",
            roles=(Role.AGENT,),
            to="/etc/mesos/secrets/operator",
            restarts=UNIT,
        ),
    ),
    health=(HttpOk(port="http", path="/health"),),
    # Its first start waits for a leading master, and masters may still be installing.
    ready_within=900,
)
