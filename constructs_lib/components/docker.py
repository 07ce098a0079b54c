"""The Docker engine, for components that run from an image and for tasks.

The default is the 28 line of Docker's own repository, held: 29 leaves out fields of `docker inspect` that
Mesos reads. `live-restore` stays off, since a task whose `docker run` ends with the daemon would be started
twice.
"""

from __future__ import annotations

from constructs_lib.components.model import (
    AptPackages,
    AptRepository,
    CommandSucceeds,
    Component,
    Directory,
    File,
    Role,
    Secret,
    UnitActive,
)

LOGIN = "docker-login.service"
DROP_INS = "/etc/systemd/system/docker.service.d"
IMAGE_GC = "docker-image-gc.timer"
LIVE_KEYS = (
    "debug",
    "features",
    "insecure-registries",
    "labels",
    "max-concurrent-downloads",
    "max-concurrent-uploads",
    "max-download-attempts",
    "registry-mirrors",
    "shutdown-timeout",
)
"""Settings that dockerd takes over when it reloads its file ("Configuration reload behavior" of its
reference), as long as the file has them: one that goes away keeps its value, so the template has them always.
"""
ROLES = (Role.MASTER, Role.CONSUL, Role.AGENT)

DOCKER = Component(
    name="docker",
    summary="container engine with bounded logs, the site's MTU, .consul names and the registry's login",
    roles=ROLES,
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
        File("daemon.json.j2", to="/etc/docker/daemon.json", restarts="docker.service", live_keys=LIVE_KEYS),
        File("proxy.conf.j2", to=f"{DROP_INS}/proxy.conf", restarts="docker.service"),
        # Its own unit gives up for a minute after three attempts, which a full disk ends in seconds.
        File("restart.conf", to=f"{DROP_INS}/restart.conf", on=(Role.AGENT, Role.MASTER)),
        File("docker-login", to="/usr/local/libexec/docker-login", mode=0o755, restarts=LOGIN),
        File("docker-login.service", to=f"/etc/systemd/system/{LOGIN}", restarts=LOGIN),
        File("docker-image-gc.j2", to="/usr/local/libexec/docker-image-gc", mode=0o755, on=(Role.AGENT,)),
        File("docker-image-gc.service", to="/etc/systemd/system/docker-image-gc.service", on=(Role.AGENT,)),
        File(
            "docker-image-gc.timer", to=f"/etc/systemd/system/{IMAGE_GC}", restarts=IMAGE_GC, on=(Role.AGENT,)
        ),
    ),
    # Containers' environments lie below, passwords among them, in a file that anybody may read. Before 1.7.29
    # and 2.0.7 containerd makes the directory 0711 (CVE-2024-25621); what is there it leaves as it is.
    directories=(Directory(path="/var/lib/containerd", mode=0o700),),
    units=(LOGIN, "docker.service", IMAGE_GC),
    restart_ends=(("docker.service", "all containers on this node"),),
    secrets=(
        Secret(
            name="registry_password",
            kind="password",
            roles=ROLES,
            to="/etc/docker/registry-password",
            restarts=LOGIN,
        ),
    ),
    health=(
        UnitActive(unit="docker.service"),
        CommandSucceeds(command=("docker", "version", "-f", "{{.Server.Version}}")),
    ),
)
