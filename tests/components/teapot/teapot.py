"""A made-up component: test_declared_once.py puts this module and the files beside it in their places."""

from __future__ import annotations

from constructs_lib.components.alert import Alert
from constructs_lib.components.model import (
    AptPackages,
    Component,
    Directory,
    File,
    HttpOk,
    Port,
    Role,
    Secret,
    SystemUser,
)

UNIT = "teapot.service"

TEAPOT = Component(
    name="teapot",
    summary="made up for a test",
    roles=(Role.EDGE,),
    software=AptPackages(names=("teapot", "teapot-lid")),
    also_runs_from=("preinstalled",),
    packages=("water",),
    ports=(
        Port("tea", 1418, (Role.AGENT,), "agents get tea here", service="tea"),
        Port("metrics", 1419, (Role.CONSUL,), "Prometheus reads how hot it is", metrics="/hot"),
    ),
    files=(
        File("teapot.conf.j2", to="/etc/teapot.conf", restarts=UNIT),
        File("nothing.j2", to="/etc/teapot.d/nothing.conf"),
        File("agents-only", to="/etc/teapot.d/agents.conf", on=(Role.AGENT,)),
    ),
    directories=(Directory(path="/srv/data/teapot", owner="teapot", group="teapot"),),
    users=(SystemUser(name="teapot", uid=1418),),
    units=(UNIT,),
    secrets=(Secret(name="teapot_password", kind="password", roles=(Role.EDGE,), to="/etc/teapot.password"),),
    alerts=(
        Alert(
            name="TeapotCold",
            port="metrics",
            expr="teapot_celsius{$job} < 60",
            summary="the tea is cold",
            next="journalctl -u teapot on each edge",
        ),
    ),
    health=(HttpOk(port="tea", path="/ready"),),
    state="/srv/data/teapot",
)
