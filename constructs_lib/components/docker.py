"""The Docker engine, for components that run from an image and for tasks."""

from __future__ import annotations

from constructs_lib.components.model import AptPackages, Component, File, Role, UnitActive

DOCKER = Component(
    name="docker",
    summary="container engine with bounded logs and the site's MTU",
    roles=(Role.MASTER, Role.CONSUL, Role.AGENT),
    software=AptPackages(names=("docker-ce", "docker-ce-cli", "containerd.io"), version="28.5"),
    files=(File("daemon.json.j2", to="/etc/docker/daemon.json", restarts="docker.service"),),
    units=("docker.service",),
    health=(UnitActive(unit="docker.service"),),
)
