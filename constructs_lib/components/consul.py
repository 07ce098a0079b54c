"""Consul: servers on the Consul nodes, a client on whatever offers or looks for services.

The default is the 1.22 line of HashiCorp's repository, held. Gossip is encrypted, RPC is TLS by the cluster's
authority, and access lists deny by default: the servers make policies and tokens themselves at their first
boot, from the secrets, so that a site also boots while it is cut off.
"""

from __future__ import annotations

from constructs_lib.components.alert import Alert
from constructs_lib.components.model import (
    AptPackages,
    AptRepository,
    Backup,
    Component,
    Directory,
    File,
    HttpOk,
    Port,
    Role,
    Secret,
    SystemUser,
)

MEMBERS = (Role.CONSUL, Role.MASTER, Role.AGENT, Role.EDGE)
SERVERS = (Role.CONSUL,)
UNIT = "consul.service"
SNAPSHOT = "clustermesos_consul_snapshot_timestamp_seconds"
"""When this node took its last snapshot."""
TRUST = "cluster-authority.service"
AUTHORITY = "cluster_authority"
"""Signs the cluster's certificates; its key stays with the operator."""
AUTHORITY_PATH = "/usr/local/share/ca-certificates/clustermesos.crt"

_FOLDER = "/etc/consul/secrets"
"""Not below /etc/consul.d, all of which the package's postinstall gives to consul, with what it holds."""
_TOKENS = ("agent", "service")
_GOSSIP_WHY = "Consul's members tell each other who lives"
_WAN_WHY = "servers of all sites tell each other who lives"
_RESOLVER_WHY = "containers ask systemd-resolved, which knows .consul names"

CONSUL = Component(
    name="consul",
    summary="service discovery by DNS and HTTP: servers on Consul nodes, a client everywhere else",
    roles=MEMBERS,
    software=AptPackages(
        names=("consul",),
        version="1.22",
        repository=AptRepository(
            uri="https://apt.releases.hashicorp.com",
            suite="{codename}",
            section="main",
            key="gpg",
            fingerprint="798AEC654E5C15428C8E42EEAA16FCBCA621E701",
        ),
    ),
    also_runs_from=("preinstalled",),
    packages=("ca-certificates", "gpg", "systemd-resolved"),
    ports=(
        Port("rpc", 8300, MEMBERS, "Consul's clients ask its servers", on=SERVERS, from_sites=SERVERS),
        Port("gossip", 8301, MEMBERS, _GOSSIP_WHY),
        Port("gossip-udp", 8301, MEMBERS, _GOSSIP_WHY, protocol="udp"),
        Port("gossip-wan", 8302, SERVERS, _WAN_WHY, from_sites=SERVERS, on=SERVERS, linked=True),
        Port(
            "gossip-wan-udp",
            8302,
            SERVERS,
            _WAN_WHY,
            protocol="udp",
            from_sites=SERVERS,
            on=SERVERS,
            linked=True,
        ),
        Port("http", 8500, (), "this node's programs ask and register", metrics="/v1/agent/metrics"),
        Port("dns", 8600, (), "systemd-resolved asks here for .consul names"),
        Port("dns-udp", 8600, (), "systemd-resolved asks here for .consul names", protocol="udp"),
        Port("resolver", 53, (), _RESOLVER_WHY, to_containers=True),
        Port("resolver-udp", 53, (), _RESOLVER_WHY, protocol="udp", to_containers=True),
    ),
    files=(
        File("consul.json.j2", to="/etc/consul.d/consul.json", restarts=UNIT),
        File("consul-config.j2", to="/usr/local/libexec/consul-config", mode=0o755, restarts=UNIT),
        File("cluster-authority", to="/usr/local/libexec/cluster-authority", mode=0o755, restarts=TRUST),
        File(TRUST, to=f"/etc/systemd/system/{TRUST}", restarts=TRUST),
        File("consul.service.j2", to=f"/etc/systemd/system/{UNIT}", restarts=UNIT),
        File(
            "resolved.conf.j2",
            to="/etc/systemd/resolved.conf.d/clustermesos-consul.conf",
            restarts="systemd-resolved.service",
        ),
        File(
            "consul-acl",
            to="/usr/local/libexec/consul-acl",
            mode=0o755,
            on=SERVERS,
            restarts="consul-acl.service",
        ),
        File("consul-acl.service", to="/etc/systemd/system/consul-acl.service", on=SERVERS),
        File("consul-snapshot.j2", to="/usr/local/sbin/consul-snapshot", mode=0o755, on=SERVERS),
        File("consul-snapshot.service", to="/etc/systemd/system/consul-snapshot.service", on=SERVERS),
        File("consul-snapshot.timer", to="/etc/systemd/system/consul-snapshot.timer", on=SERVERS),
    ),
    directories=(
        Directory(path=_FOLDER, mode=0o700),
        Directory(path="/srv/data/consul", mode=0o750, owner="consul", group="consul", on=SERVERS),
        Directory(path="/srv/data/consul-snapshots", mode=0o700, on=SERVERS),
    ),
    users=(SystemUser(name="consul", uid=8500),),
    units=("systemd-resolved.service", TRUST, UNIT, "consul-acl.service", "consul-snapshot.timer"),
    secrets=(
        Secret(name=AUTHORITY, kind="authority", roles=(), to=""),
        Secret(
            name=f"{AUTHORITY}_certificate",
            kind="authority_certificate",
            signed_by=AUTHORITY,
            roles=MEMBERS,
            to=AUTHORITY_PATH,
            mode=0o644,
            restarts=UNIT,
        ),
        Secret(
            name="consul_server_certificate",
            kind="certificate",
            signed_by=AUTHORITY,
            dns_names=("server.{site}.consul",),
            roles=SERVERS,
            to="/etc/consul.d/server.pem",
            owner="consul",
            per_site=True,
            restarts=UNIT,
        ),
        Secret(
            name="consul_gossip_key",
            kind="gossip_key",
            roles=MEMBERS,
            to="/etc/consul/secrets/gossip-key",
            restarts=UNIT,
        ),
        Secret(
            name="consul_management_token",
            kind="token",
            roles=SERVERS,
            to="/etc/consul/secrets/management",
            per_site=True,
            restarts=UNIT,
        ),
        Secret(
            name="consul_agent_token",
            kind="token",
            roles=MEMBERS,
            to="/etc/consul/secrets/agent",
            per_site=True,
            restarts=UNIT,
        ),
        Secret(
            name="consul_service_token",
            kind="token",
            roles=MEMBERS,
            to="/etc/consul/secrets/service",
            per_site=True,
            restarts=UNIT,
        ),
        # The one token that is good at every site: a name of another site is asked of its servers with it.
        Secret(
            name="consul_names_token",
            kind="token",
            roles=MEMBERS,
            to="/etc/consul/secrets/names",
            restarts=UNIT,
        ),
        Secret(
            name="consul_metrics_token",
            kind="token",
            roles=SERVERS,
            to="/etc/consul/secrets/metrics",
            per_site=True,
            restarts="consul-acl.service",
        ),
        Secret(
            name="consul_edge_token",
            kind="token",
            roles=SERVERS,
            to="/etc/consul/secrets/edge",
            per_site=True,
            restarts="consul-acl.service",
        ),
    ),
    alerts=(
        Alert(
            name="ConsulLeaderless",
            port="http",
            # One that finds no leader stands for election again and again.
            expr="max(up{$job}) == 0 or max(increase(consul_raft_state_candidate{$job}[5m])) > 5",
            summary="Consul's server has no leader: names still resolve, and nothing new is found",
            next="consul operator raft list-peers on a Consul node; docs/consul.md",
        ),
        # Told once an hour, for a minute; between, and on a node without a certificate, it is not a number.
        Alert(
            name="CertificateExpires",
            port="http",
            expr="last_over_time((consul_agent_tls_cert_expiry{$job} =="
            " consul_agent_tls_cert_expiry{$job})[2h:15s]) < 30 * 86400",
            severity="ticket",
            summary="the certificate of Consul's server ends in {{ $value | humanizeDuration }}",
            next="clustermesos secrets lists all with their dates and the commands; docs/consul.md",
        ),
        Alert(
            name="ConsulSnapshotOverdue",
            # Four a day.
            expr=f"(time() - max({SNAPSHOT})) > 43200",
            summary="no snapshot of Consul's state for {{ $value | humanizeDuration }}",
            next="journalctl -u consul-snapshot on the Consul nodes",
        ),
        Alert(
            name="ConsulSnapshotNever",
            expr=f"absent({SNAPSHOT})",
            wait="12h",
            summary="no snapshot of Consul's state since Prometheus looks",
            next="journalctl -u consul-snapshot on the Consul nodes",
        ),
    ),
    health=(
        HttpOk(port="http", path="/v1/status/leader", contains=":8300"),
        # Without its tokens a member joins all the same, and then no service has a name.
        *(
            HttpOk(port="http", path="/v1/agent/self", bearer=f"{_FOLDER}/{name}")
            for name in ("agent", "service")
        ),
        HttpOk(port="http", path="/v1/catalog/services", bearer=f"{_FOLDER}/names"),
    ),
    # The servers may still be installing.
    ready_within=900,
    state="/srv/data/consul",
    backup=Backup(template="backup", on=SERVERS),
)
