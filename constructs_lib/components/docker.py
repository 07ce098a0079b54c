"""The Docker engine, for components that run from an image and for tasks.

The default is the 28 line of Docker's own repository, held: 29 leaves out fields of `docker inspect` that
Mesos reads. `live-restore` stays off, since a task whose `docker run` ends with the daemon would be started
twice.
"""

from __future__ import annotations

from constructs_lib.components.model import AptPackages, AptRepository, Component, File, Role, UnitActive

DOCKER = Component(
    name="docker",
    summary="container engine with bounded logs and the site's MTU",
    roles=(Role.MASTER, Role.CONSUL, Role.AGENT),
    software=AptPackages(
        names=("docker-ce", "docker-ce-cli", "containerd.io"),
        version="28.5",
        repository=AptRepository(
            uri="https://download.docker.com/linux/{distribution}",
            suite="{codename}",
            section="stable",
            key="gpg",
            fingerprint="9DC858229FC7DD38854AE2D88D81803C0EBFCD88",
        ),
    ),
    apt_names=("docker.io",),
    packages=("ca-certificates", "gpg"),
    files=(
        File("daemon.json.j2", to="/etc/docker/daemon.json", restarts="docker.service"),
        File(
            "proxy.conf.j2", to="/etc/systemd/system/docker.service.d/proxy.conf", restarts="docker.service"
        ),
    ),
    units=("docker.service",),
    health=(UnitActive(unit="docker.service"),),
)
