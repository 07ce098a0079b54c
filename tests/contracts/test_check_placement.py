"""What no contract file can show: a firewall that is not as every cluster's is today."""

from __future__ import annotations

from dataclasses import replace

from constructs_lib.contracts import check_placement
from constructs_lib.contracts.load import parse_contract
from constructs_lib.plan.model import ClusterPlan
from tests.contracts.clusters import one_site

CONTRACT = """\
name: shop
owner: shop@example.org
dev: {image: "shop:1", ports: {http: 8080}, host_ports: {http: 31500}}
ops: {cpus: 0.1, memory_mib: 64, deploy: {strategy: recreate}}
"""


def found(cluster: ClusterPlan) -> dict[tuple[str | int, ...], str]:
    contract = parse_contract(CONTRACT)
    return {
        finding.path: finding.message
        for check in check_placement.CHECKS
        for finding in check(contract, cluster)
    }


def test_a_host_port_is_held_against_the_firewall_of_each_site_where_it_may_run() -> None:
    open_ = one_site()
    site = open_.site("eu")
    rules = tuple(rule for rule in site.traffic if not rule.port <= 31500 <= rule.last)
    closed = replace(open_, sites={"eu": replace(site, traffic=rules)})

    assert len(rules) < len(site.traffic)
    assert found(open_) == {}
    assert found(closed) == {("dev", "host_ports", "http"): "got 31500, which the firewall of site eu closes"}
