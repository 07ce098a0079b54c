"""Mesos masters (ClusterD): one leads, found through ZooKeeper; the registry lies on the data volume.

Frameworks and agents log in with credentials that the node completes from its secret files; see
docs/decisions/2026-11-26-mesos.md for who may do what.
"""

from __future__ import annotations

from constructs_lib.components.model import (
    AptPackages,
    AptRepository,
    Component,
    Directory,
    File,
    HttpOk,
    Port,
    Role,
    Secret,
)

UNIT = "mesos-master.service"
COMPLETE = "/usr/local/libexec/complete-secrets"
"""Fills secrets in where a unit starts; Marathon and Chronos use it too."""
CLUSTERD = AptPackages(
    names=("aventer-mesos",),
    version="1.11.0-0.9.0",
    repository=AptRepository(
        uri={
            "ubuntu": "http://rpm.aventer.biz/Ubuntu/{codename}",
            "debian": "http://rpm.aventer.biz/Debian",
        },
        suite="{codename}",
        section="main",
        key="https://www.aventer.biz/assets/support_aventer.asc",
        fingerprint="BA227EBC312D2E43498A533963F8CEE149ACA59E",
    ),
)
"""One package holds master and agent; masters are upgraded first, so each has a version of its own."""
LIBRARIES = ("ca-certificates", "curl", "gpg", "libsasl2-modules", "libsvn1", "libunwind8")
"""What the package needs without saying so: CRAM-MD5 of libsasl2-modules, libcurl that curl brings.

Libevent (of another name on Ubuntu 24.04) and APR it asks for itself: CPACK_DEBIAN_PACKAGE_DEPENDS in its
CMakeLists.txt.
"""

MESOS_MASTER = Component(
    name="mesos_master",
    summary="Mesos master; a quorum of them keeps the registry, the leading one makes offers",
    roles=(Role.MASTER,),
    software=CLUSTERD,
    also_runs_from=("preinstalled",),
    packages=LIBRARIES,
    ports=(
        Port(
            "http",
            5050,
            (Role.MASTER, Role.AGENT, Role.CONSUL, Role.GATEWAY),
            "agents and frameworks register; consoles; metrics",
            service="mesos-master",
            from_sites=(Role.AGENT,),
        ),
    ),
    files=(
        File("mesos-master.j2", to="/etc/default/mesos-master", restarts=UNIT),
        File("no-logger", to="/etc/mesos-master/?no-logger", restarts=UNIT),
        File("acls.json.j2", to="/etc/mesos/acls.json", restarts=UNIT),
        File("zk.j2", to="/etc/mesos/zk.in", restarts=UNIT),
        File("credentials.json.j2", to="/etc/mesos/credentials.in", restarts=UNIT),
        File("complete-secrets", to=COMPLETE, mode=0o755),
        File("mesos-master.service.j2", to=f"/etc/systemd/system/{UNIT}", restarts=UNIT),
    ),
    directories=(
        Directory(path="/etc/mesos/secrets", mode=0o700),
        Directory(path="/srv/data/mesos-master", mode=0o700),
    ),
    units=(UNIT,),
    secrets=tuple(
        Secret(
            name=f"mesos_{who}_password",
            kind="password",
            roles=(Role.MASTER,),
            to=f"/etc/mesos/secrets/{who}",
            restarts=UNIT,
        )
        for who in ("zookeeper", "operator", "agent", "marathon", "chronos")
    ),
    health=(HttpOk(port="http", path="/health"),),
    leads=HttpOk(port="http", path="/metrics/snapshot", contains='elected":1'),
    # At the first boot the registry's log needs every master, and some may still be installing.
    ready_within=900,
    state="/srv/data/mesos-master",
)
