"""Marathon: keeps long-running applications alive; one of the masters' instances leads, the others proxy.

The image brings the JDK 8 and the libmesos that it needs. Marathon writes every setting to its log, so its
secrets come by file, and there is no password on its HTTP port: the firewalls let in only who is named here.
"""

from __future__ import annotations

from constructs_lib.components.alert import Alert
from constructs_lib.components.model import (
    Component,
    ContainerImage,
    Directory,
    File,
    HttpOk,
    Port,
    Role,
    Secret,
    SystemUser,
)

UNIT = "marathon.service"

MARATHON = Component(
    name="marathon",
    summary="starts applications on the agents and keeps them running",
    roles=(Role.MASTER,),
    software=ContainerImage(name="mesosphere/marathon", version="v1.11.24"),
    also_runs_from=("preinstalled",),
    ports=(
        Port(
            "http",
            8080,
            (Role.MASTER, Role.CONSUL, Role.GATEWAY),
            "its other instances; consoles; metrics",
            service="marathon",
            metrics="/metrics/prometheus",
        ),
        Port("scheduler", 8090, (Role.MASTER,), "the leading Mesos master sends offers"),
    ),
    files=(
        File("marathon.env.j2", to="/etc/marathon/marathon.env", restarts=UNIT),
        File("marathon.service.j2", to=f"/etc/systemd/system/{UNIT}", restarts=UNIT),
    ),
    directories=(Directory(path="/etc/marathon"),),
    # Whom it runs as where the machine brings it along; the image has a user of its own.
    users=(SystemUser(name="marathon", uid=2182),),
    units=(UNIT,),
    secrets=(
        Secret(
            name="mesos_marathon_password",
            kind="password",
            roles=(Role.MASTER,),
            to="/etc/marathon/mesos-password",
            restarts=UNIT,
        ),
        Secret(
            name="marathon_zookeeper_password",
            kind="password",
            roles=(Role.MASTER,),
            to="/etc/marathon/zookeeper-password",
            restarts=UNIT,
        ),
    ),
    alerts=(
        Alert(
            name="MarathonDown",
            port="http",
            expr="(sum(up{$job}) or vector(0)) == 0",
            summary="no Marathon answers: applications run on, and none is started or replaced",
            next="journalctl -u marathon on each master",
        ),
    ),
    health=(HttpOk(port="http", path="/ping"),),
    ready_within=600,
)
