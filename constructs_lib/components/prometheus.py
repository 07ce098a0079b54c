"""Prometheus on the Consul nodes: reads every port that a component declares with `metrics`.

Planned nodes are listed by address, so that one that is down shows as down; agents, whose addresses are in no
plan, are found in Consul. So are applications: consul-template on the same node has `prometheus-contracts`
install what contracts say of alerts and metrics.
"""

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

UNIT = "prometheus.service"

PROMETHEUS = Component(
    name="prometheus",
    summary="collects the metrics of all nodes",
    roles=(Role.CONSUL,),
    software=AptPackages(names=("prometheus",)),
    also_runs_from=("preinstalled",),
    ports=(Port("http", 9090, (), "queries, from this node only", metrics="/metrics"),),
    files=(
        File("prometheus.yml.j2", to="/etc/prometheus/prometheus.yml", reloads=UNIT),
        File("prometheus-contracts", to="/usr/local/libexec/prometheus-contracts", mode=0o755, carried=True),
        File("prometheus.service.j2", to=f"/etc/systemd/system/{UNIT}", restarts=UNIT),
    ),
    directories=(
        Directory(path="/srv/data/prometheus", mode=0o750, owner="prometheus", group="prometheus"),
        Directory(path="/etc/prometheus/contracts/rules"),
        Directory(path="/etc/prometheus/contracts/targets"),
    ),
    # Of the numbers that adduser takes for a system's: else the package stops at an account that is there.
    users=(SystemUser(name="prometheus", uid=909),),
    units=(UNIT,),
    secrets=(
        Secret(
            name="consul_metrics_token",
            kind="token",
            roles=(Role.CONSUL,),
            to="/etc/prometheus/consul-token",
            per_site=True,
            restarts=UNIT,
        ),
    ),
    alerts=(
        Alert(
            name="AlertRulesRefused",
            expr='min by (contract) ({__name__=~"clustermesos_contract_(rules|targets)_ok"}) == 0',
            severity="ticket",
            summary="{{ $labels.contract }}: new alert rules or targets were refused, the former stay",
            next="journalctl -u consul-template on a Consul node; docs/alerts.md",
        ),
        Alert(
            name="PrometheusConfigurationRefused",
            port="http",
            expr="prometheus_config_last_reload_successful{$job} == 0",
            summary="Prometheus goes on with a former configuration",
            next="promtool check config /etc/prometheus/prometheus.yml on a Consul node",
        ),
    ),
    health=(HttpOk(port="http", path="/-/healthy"),),
    state="/srv/data/prometheus",
)
