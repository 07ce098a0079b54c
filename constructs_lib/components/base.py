"""What every node has: admin users, names, time, data volume, firewall, updates, secrets, health."""

from __future__ import annotations

from constructs_lib.components.model import Component, File, Peer, Port, Role, Secret

BASE = Component(
    name="base",
    summary="admin users, names, time, data volume, node firewall, security updates, secret files, health",
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
    files=(File("nftables.conf.j2", to="/etc/nftables.conf", mode=0o600, restarts="nftables.service"),),
    secrets=(
        Secret(
            name="gateway_ssh_host_key",
            kind="ssh_host_key",
            roles=(Role.GATEWAY,),
            to="/etc/ssh/ssh_host_ed25519_key",
            per_site=True,
            restarts="ssh.service",
        ),
    ),
)
