"""The scrape configuration, checked by promtool and by a Prometheus that reads itself."""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
import yaml

import constructs_lib.components
import constructs_lib.plan.software
from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import Component, Port, Role
from constructs_lib.nodes import metrics
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from scripts.embedded_aws import free_port
from tests.conftest import need
from tests.nodes.clusters import CASES, WHOLE, site


def files_of(case: str = "whole") -> NodeFiles:
    planned = site(case)
    return render(planned, planned.nodes_of(Role.CONSUL)[0])


def jobs(files: NodeFiles) -> dict[str, Any]:
    found = yaml.safe_load(files.file("/etc/prometheus/prometheus.yml").content)["scrape_configs"]
    return {job["job_name"]: job for job in found}


def promtool_accepts(files: NodeFiles) -> None:
    text = files.file("/etc/prometheus/prometheus.yml").content
    with tempfile.TemporaryDirectory() as folder:
        # promtool wants the token's file to be there.
        (Path(folder) / "consul").touch()
        config = Path(folder) / "prometheus.yml"
        config.write_text(text.replace("/run/credentials/prometheus.service", folder))
        command = [str(need("promtool")), "check", "config", str(config)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is valid prometheus config" in done.stdout


@pytest.mark.parametrize("case", CASES)
def test_promtool_accepts_the_configuration(case: str) -> None:
    promtool_accepts(files_of(case))


def test_every_declared_port_with_metrics_is_read_on_every_planned_node_that_has_it() -> None:
    found = jobs(files_of())

    zookeeper = found["zookeeper-metrics"]["static_configs"][0]["targets"]
    assert zookeeper == [f"{node.address}:7000" for node in site("whole").nodes_of(Role.MASTER)]
    for component in COMPONENTS:
        for port in component.ports:
            roles = set(component.roles if port.on is None else port.on)
            known = f"{component.name}-{port.name}" in found
            assert known == (port.metrics is not None and roles != {Role.AGENT})


def test_agents_are_found_by_the_name_under_which_each_registers(monkeypatch: pytest.MonkeyPatch) -> None:
    port = Port("own", 9999, (Role.CONSUL,), "made up", metrics="/own/metrics")
    teapot = Component(name="teapot", summary="made up", roles=(Role.AGENT,), software=None, ports=(port,))
    monkeypatch.setattr(metrics, "COMPONENTS", (*COMPONENTS, teapot))
    monkeypatch.setattr(constructs_lib.components, "COMPONENTS", (*COMPONENTS, teapot))
    monkeypatch.setattr(constructs_lib.plan.software, "COMPONENTS", (*COMPONENTS, teapot))

    job = jobs(files_of())["teapot-own-agents"]

    planned = site("whole")
    registered = json.loads(render(planned, planned.pools[0]).file("/etc/consul.d/consul.json").content)[
        "services"
    ]
    assert {"name": "metrics-9999", "port": 9999} in registered
    assert job["dns_sd_configs"] == [{"names": ["metrics-9999.service.consul"]}]
    assert job["metrics_path"] == "/own/metrics"
    promtool_accepts(files_of())


def test_a_build_without_metrics_is_not_asked_for_them() -> None:
    software = {"software": {"components": {"zookeeper": {"source": "apt"}}}}
    planned = plan(ClusterSpec.model_validate(WHOLE | software)).site("eu")

    assert "zookeeper-metrics" not in jobs(render(planned, planned.nodes_of(Role.CONSUL)[0]))


def test_what_only_the_node_itself_reaches_is_read_there() -> None:
    assert jobs(files_of())["registry-metrics"]["static_configs"] == [{"targets": ["127.0.0.1:5001"]}]


def test_the_second_consul_node_does_not_look_for_the_registry_of_the_first() -> None:
    whole = json.loads(json.dumps(WHOLE))
    whole["sites"]["eu"]["consul"] = {"count": 3}
    planned = plan(ClusterSpec.model_validate(whole)).site("eu")

    assert "registry-metrics" not in jobs(render(planned, planned.nodes_of(Role.CONSUL)[1]))


def test_whatever_a_consul_node_reads_elsewhere_its_firewall_lets_in_there() -> None:
    for component in COMPONENTS:
        for port in component.ports:
            if port.metrics is not None and Role.CONSUL not in port.reached_by:
                assert Role.CONSUL in (component.roles if port.on is None else port.on), port.name


def test_alerts_are_sent_to_every_alertmanager_that_is_named_and_else_to_none() -> None:
    urls = ["http://10.20.0.6:9093", "https://alerts.example.org:443"]
    planned = plan(ClusterSpec.model_validate(WHOLE | {"nodes": {"alertmanagers": urls}})).site("eu")
    files = render(planned, planned.nodes_of(Role.CONSUL)[0])

    promtool_accepts(files)
    found = yaml.safe_load(files.file("/etc/prometheus/prometheus.yml").content)["alerting"]["alertmanagers"]
    assert found == [
        {"scheme": "http", "static_configs": [{"targets": ["10.20.0.6:9093"]}]},
        {"scheme": "https", "static_configs": [{"targets": ["alerts.example.org:443"]}]},
    ]
    assert "alerting" not in files_of().file("/etc/prometheus/prometheus.yml").content


def test_consuls_token_is_handed_over_by_systemd_and_named_in_the_file_only() -> None:
    unit = files_of().file("/etc/systemd/system/prometheus.service").content

    assert "LoadCredential=consul:/etc/prometheus/consul-token\n" in unit
    authorized = jobs(files_of())["consul-http"]["authorization"]
    assert authorized == {"credentials_file": "/run/credentials/prometheus.service/consul"}


@pytest.mark.slow
def test_prometheus_starts_from_the_unit_and_reads_itself(tmp_path: Path) -> None:
    need("prometheus")
    port = free_port()
    text = files_of().file("/etc/prometheus/prometheus.yml").content.replace("30s", "1s")
    config = tmp_path / "prometheus.yml"
    config.write_text(text.replace("127.0.0.1:9090", f"127.0.0.1:{port}"))
    unit = files_of().file("/etc/systemd/system/prometheus.service").content.replace("\\\n", "")
    command = re.search(r"ExecStart=(.*)", unit)
    assert command
    line = command[1].replace("/etc/prometheus/prometheus.yml", str(config))
    line = line.replace("/srv/data/prometheus", str(tmp_path / "data")).replace(":9090", f":{port}")
    with (tmp_path / "log").open("wb") as log:
        server = subprocess.Popen(line.split(), stdout=log, stderr=log, cwd=tmp_path)
    try:
        end = time.monotonic() + 180
        while not is_up(port, "prometheus-http"):
            assert server.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()[-2000:]
            time.sleep(0.3)
        assert not is_up(port, "registry-metrics")
    finally:
        server.terminate()
        server.wait(timeout=60)


def is_up(port: int, job: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    query = f"http://127.0.0.1:{port}/api/v1/query?query=up%7Bjob%3D%22{job}%22%7D"
    try:
        with opener.open(query, timeout=5) as answer:
            result = json.load(answer)["data"]["result"]
    except (OSError, HTTPException, LookupError, ValueError):
        return False
    return [sample["value"][1] for sample in result] == ["1"]
