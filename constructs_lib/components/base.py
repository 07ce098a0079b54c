"""What every node has: admin users, names, time, data volume, firewall, updates, secrets, health."""

from __future__ import annotations

from constructs_lib.components.alert import Alert
from constructs_lib.components.model import Component, File, Peer, Port, Role, Secret, UnitActive

FIREWALL = "clustermesos-firewall.service"
CHRONY = "chrony.service"
PROGRAM = ("clustermesos-apply", "clustermesos-health")
"""The first is built from cloud-init/base/program by scripts/node_program.py."""

BASE = Component(
    name="base",
    summary="users, names, time, data volume, firewall, security updates, secrets, health, preflight",
    roles=tuple(Role),
    software=None,
    packages=("chrony", "nftables", "openssh-server", "python3", "unattended-upgrades"),
    ports=(
        Port("ssh", 22, (Peer.ADMIN,), "operators log in at the gateway", on=(Role.GATEWAY,)),
        Port(
            "ssh-inside",
            22,
            (Role.GATEWAY,),
            "the gateway is the only way to the other nodes",
            on=(Role.MASTER, Role.CONSUL, Role.AGENT, Role.EDGE),
        ),
    ),
    files=(
        File("clustermesos-apply", to="/usr/local/sbin/clustermesos-apply", mode=0o755, carried=True),
        File("clustermesos-health", to="/usr/local/sbin/clustermesos-health", mode=0o755),
        File("clustermesos-preflight.j2", to="/usr/local/sbin/clustermesos-preflight", mode=0o755),
        File("chrony.conf.j2", to="/etc/chrony/chrony.conf", restarts=CHRONY),
        File("clustermesos-apply.service.j2", to="/etc/systemd/system/clustermesos-apply.service"),
        File("node.env.j2", to="/etc/clustermesos/node.env"),
        File("hosts.j2", to="/etc/hosts"),
        File("firewall.nft.j2", to="/etc/clustermesos/firewall.nft", mode=0o600, restarts=FIREWALL),
        File("firewall-closed.nft.j2", to="/etc/clustermesos/firewall-closed.nft", mode=0o600),
        File("clustermesos-firewall.service.j2", to=f"/etc/systemd/system/{FIREWALL}", restarts=FIREWALL),
        File(
            "authorized_keys.j2",
            to="/home/{{ plan.admin.user }}/.ssh/authorized_keys",
            mode=0o600,
            owner="{{ plan.admin.user }}",
            group="{{ plan.admin.user }}",
        ),
        File("sshd.conf.j2", to="/etc/ssh/sshd_config.d/10-clustermesos.conf", reloads="ssh.service"),
        File("upgrades.conf.j2", to="/etc/apt/apt.conf.d/52clustermesos"),
        File(
            "needrestart.conf.j2",
            to="/etc/needrestart/conf.d/clustermesos.conf",
            on=(Role.MASTER, Role.AGENT, Role.EDGE),
        ),
    ),
    units=(FIREWALL, CHRONY),
    boot_units=("clustermesos-apply.service",),
    secrets=(
        Secret(
            name="gateway_ssh_host_key",
            kind="ssh_host_key",
            roles=(Role.GATEWAY,),
            to="/etc/ssh/clustermesos_host_ed25519_key",
            per_site=True,
            reloads="ssh.service",
        ),
    ),
    alerts=(
        Alert(
            name="NodeDown",
            expr='up{job="node_exporter-metrics"} == 0',
            summary="{{ $labels.instance }} does not answer",
            next="clustermesos show, then its console; clustermesos roll replaces it",
        ),
        # An agent that is down is no longer in Consul, where Prometheus finds agents.
        Alert(
            name="AgentsMissing",
            expr='(count(up{job="node_exporter-metrics-agents"} == 1) or vector(0)) < $agents',
            wait="10m",
            agents=True,
            summary="{{ $value }} of at least $agents agents answer",
            next="clustermesos show, and what the platform says of the pools",
        ),
        Alert(
            name="DiskNearlyFull",
            expr='node_filesystem_avail_bytes{fstype=~"ext4|xfs|btrfs"} / node_filesystem_size_bytes < 0.1',
            wait="15m",
            summary="{{ $labels.instance }}{{ $labels.mountpoint }}: {{ $value | humanizePercentage }} left",
            next="du -xh --max-depth=2 there: images and sandboxes on agents, /srv/data elsewhere",
        ),
        # Not of a machine that has just booted: at the first time it waits for others, with some units there.
        Alert(
            name="UnitDown",
            expr='node_systemd_unit_state{name=~"$units", state="active"} == 0'
            " unless on (instance) time() - node_boot_time_seconds < 900",
            wait="10m",
            summary="{{ $labels.instance }}: {{ $labels.name }} does not run",
            next="journalctl -u {{ $labels.name }} on it, then systemctl restart {{ $labels.name }}",
        ),
        # systemd counts what it did by itself alone, so not what an apply or an operator restarts.
        Alert(
            name="UnitRestarts",
            expr="increase(node_systemd_service_restart_total[30m]) > 5",
            summary="{{ $labels.instance }}: {{ $labels.name }} ends again and again",
            next="journalctl -u {{ $labels.name }} on it; nodes rollback where an apply brought it",
        ),
        # What a timer starts every minute is at work now and then, and has not failed just then.
        Alert(
            name="UnitFailed",
            expr='max_over_time(node_systemd_unit_state{name!~"$units", state="failed"}[5m]) == 1',
            wait="15m",
            severity="ticket",
            summary="{{ $labels.instance }}: {{ $labels.name }} failed",
            next="journalctl -u {{ $labels.name }} on it, then systemctl start (or reset-failed) it",
        ),
        Alert(
            name="ClockUnsynchronised",
            expr="min_over_time(node_timex_sync_status[5m]) == 0 and node_timex_maxerror_seconds >= 16",
            wait="15m",
            severity="ticket",
            summary="{{ $labels.instance }}: its clock follows no time server",
            next="chronyc sources on it; nodes.time_servers of cluster.yaml, and what lets UDP 123 out",
        ),
    ),
    health=(UnitActive(unit=FIREWALL), UnitActive(unit=CHRONY)),
)
