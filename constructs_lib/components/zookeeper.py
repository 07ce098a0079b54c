"""ZooKeeper 3.9: the masters' ensemble, where everything in the platform finds its leader."""

from __future__ import annotations

from constructs_lib.components.alert import Alert
from constructs_lib.components.model import (
    Backup,
    Component,
    ContainerImage,
    Directory,
    File,
    FourLetterWord,
    Port,
    Role,
    Secret,
    SystemUser,
)

WATCHDOG = "zookeeper-watchdog.timer"

ZOOKEEPER = Component(
    name="zookeeper",
    summary="coordination service of the masters; a quorum of them must live",
    roles=(Role.MASTER,),
    software=ContainerImage(name="zookeeper", version="3.9.6"),
    also_runs_from=("apt",),
    apt_names=("zookeeper", "default-jre-headless"),
    ports=(
        Port(
            "client",
            2181,
            (Role.MASTER, Role.AGENT),
            "masters and agents find the leading master here",
            from_sites=(Role.AGENT,),
        ),
        Port("peer", 2888, (Role.MASTER,), "followers follow the ensemble's leader"),
        Port("election", 3888, (Role.MASTER,), "the ensemble elects its leader"),
        Port(
            "metrics",
            7000,
            (Role.CONSUL,),
            "Prometheus on the Consul node scrapes it",
            metrics="/metrics",
            metrics_from="image",
        ),
        Port("admin", 8081, (), "snapshots, taken from this node only; 8080 is Marathon's"),
    ),
    files=(
        File("zoo.cfg.j2", to="/etc/zookeeper/zoo.cfg", restarts="zookeeper.service"),
        File("myid.j2", to="/srv/data/zookeeper/myid", restarts="zookeeper.service"),
        File(
            "zookeeper-config",
            to="/usr/local/libexec/zookeeper-config",
            mode=0o755,
            restarts="zookeeper.service",
        ),
        File(
            "zookeeper.service.j2", to="/etc/systemd/system/zookeeper.service", restarts="zookeeper.service"
        ),
        File("zookeeper-watchdog", to="/usr/local/libexec/zookeeper-watchdog", mode=0o755),
        File("zookeeper-watchdog.service", to="/etc/systemd/system/zookeeper-watchdog.service"),
        File("zookeeper-watchdog.timer", to=f"/etc/systemd/system/{WATCHDOG}", restarts=WATCHDOG),
    ),
    directories=(Directory(path="/srv/data/zookeeper", mode=0o750, owner="zookeeper", group="zookeeper"),),
    users=(SystemUser(name="zookeeper", uid=2181),),
    units=("zookeeper.service", WATCHDOG),
    secrets=(
        Secret(
            name="zookeeper_super_password",
            kind="password",
            roles=(Role.MASTER,),
            to="/etc/zookeeper/super-password",
            restarts="zookeeper.service",
        ),
    ),
    alerts=(
        # Only a server that belongs to a quorum counts connections.
        Alert(
            name="ZooKeeperQuorumLost",
            port="metrics",
            expr="absent(num_alive_connections{$job})",
            summary="no ZooKeeper server serves: Mesos elects no master, nothing new starts",
            next="clustermesos-health on each master; docs/mesos.md",
        ),
        # The next one that is lost may end the quorum. A new master's has 15 minutes to join (ready_within).
        Alert(
            name="ZooKeeperServerOut",
            port="metrics",
            expr="up{$job} unless on (instance) num_alive_connections{$job}",
            wait="20m",
            summary="{{ $labels.instance }} belongs to no quorum: one less may be lost",
            next="journalctl -u zookeeper on that master; clustermesos roll masters replaces it",
        ),
    ),
    health=(FourLetterWord(word="srvr", port="client", modes=("leader", "follower", "standalone")),),
    # The others of the ensemble may still be installing.
    ready_within=900,
    state="/srv/data/zookeeper",
    backup=Backup(template="backup"),
)
