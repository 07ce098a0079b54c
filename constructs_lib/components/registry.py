"""The private registry for images, on the first Consul node, where its images lie on the data volume.

Everyone logs in with one password; TLS is by the cluster's authority. Outside the home site it is a
pull-through cache of the home site's, and serves what it has while that is away. With `registry.cache` a
second one beside it keeps what is pulled from Docker Hub, without login, since Docker sends none to a mirror.
"""

from __future__ import annotations

from constructs_lib.components.alert import Alert
from constructs_lib.components.consul import AUTHORITY
from constructs_lib.components.model import (
    Backup,
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

UNIT = "docker-registry.service"
CACHE_UNIT = "docker-registry-cache.service"
HOME = "/usr/local/libexec/registry-home"
HOME_TIMER = "registry-home.timer"
NAME = "registry.service.consul"
"""Of the home site's, in every site; its certificate is for it."""
ACCOUNT = "cluster"
"""What nodes log in as; cloud-init/registry lets it in."""
PASSWORD = "registry_password"  # noqa: S105 (its name)
DOCKER_NODES = (Role.MASTER, Role.CONSUL, Role.AGENT)

REGISTRY = Component(
    name="registry",
    summary="private registry for images: login, TLS, garbage collection; a cache of Docker Hub on demand",
    roles=(Role.CONSUL,),
    software=ContainerImage(name="registry", version="3.1.0"),
    first_node_only=True,
    also_runs_from=("apt", "preinstalled"),
    apt_names=("docker-registry",),
    packages=("apache2-utils", "curl"),
    ports=(
        Port(
            "https",
            5000,
            DOCKER_NODES,
            "nodes push and pull images",
            service="registry",
            from_sites=(Role.CONSUL,),
            home_only=True,
        ),
        Port("metrics", 5001, (), "health and metrics, for this node only", metrics="/metrics"),
        Port("cache", 5002, DOCKER_NODES, "nodes pull Docker Hub's images through the cache"),
        Port("cache-metrics", 5003, (), "health and metrics of the cache, for this node only"),
    ),
    files=(
        File("registry.yml.j2", to="/etc/registry/registry.yml", restarts=UNIT),
        File("cache.yml.j2", to="/etc/registry/cache.yml", restarts=CACHE_UNIT),
        File("registry-config.j2", to="/usr/local/libexec/registry-config", mode=0o755, restarts=UNIT),
        File("registry.service.j2", to=f"/etc/systemd/system/{UNIT}", restarts=UNIT),
        File("cache.service.j2", to=f"/etc/systemd/system/{CACHE_UNIT}", restarts=CACHE_UNIT),
        File("registry-gc.j2", to="/usr/local/sbin/registry-gc", mode=0o755),
        File("registry-gc.service.j2", to="/etc/systemd/system/registry-gc.service"),
        File("registry-gc.timer.j2", to="/etc/systemd/system/registry-gc.timer"),
        File("registry-home.j2", to=HOME, mode=0o755),
        File("registry-home.service.j2", to="/etc/systemd/system/registry-home.service"),
        File(f"{HOME_TIMER}.j2", to=f"/etc/systemd/system/{HOME_TIMER}", restarts=HOME_TIMER),
    ),
    directories=(
        Directory(path="/srv/data/registry", mode=0o750, owner="registry", group="registry"),
        Directory(path="/srv/data/registry-cache", mode=0o750, owner="registry", group="registry"),
    ),
    users=(SystemUser(name="registry", uid=5000),),
    units=(UNIT, CACHE_UNIT, "registry-gc.timer", HOME_TIMER),
    secrets=(
        Secret(
            name="registry_certificate",
            kind="certificate",
            signed_by=AUTHORITY,
            dns_names=(NAME, "registry.service.{site}.consul"),
            roles=(Role.CONSUL,),
            to="/etc/registry/registry.pem",
            owner="registry",
            per_site=True,
            restarts=UNIT,
        ),
        # Each reader has its file, since each has to be restarted when the value is another one.
        Secret(
            name="registry_certificate",
            kind="certificate",
            signed_by=AUTHORITY,
            dns_names=(NAME, "registry.service.{site}.consul"),
            roles=(Role.CONSUL,),
            to="/etc/registry/cache.pem",
            owner="registry",
            per_site=True,
            restarts=CACHE_UNIT,
        ),
        Secret(
            name=PASSWORD,
            kind="password",
            roles=(Role.CONSUL,),
            to="/etc/registry/password",
            restarts=UNIT,
        ),
    ),
    alerts=(
        Alert(
            name="RegistryDown",
            port="metrics",
            expr="up{$job} == 0",
            summary="the registry does not answer: images that agents lack can't be pulled",
            next="journalctl -u docker-registry on consul-1; docs/registry.md",
        ),
    ),
    health=(HttpOk(port="metrics", path="/debug/health"),),
    state="/srv/data/registry",
    backup=Backup(template="backup", only_where="plan.name == plan.home and not plan.registry.bucket"),
)
