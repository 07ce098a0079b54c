"""Instances that Marathon calls healthy, and what a test has Consul and an edge say of them."""

from __future__ import annotations

from dataclasses import replace

from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.simulator.web import ask
from tests.hooks.rolling_platform import Platform
from tests.hooks.scripted_server import Says


def register(platform: Platform, contract: CompiledContract, status: str) -> None:
    """Each instance, with a check that says so."""
    headers = {"X-Consul-Token": platform.consul.token}
    for task in platform.cluster.tasks():
        if not task.owner.startswith(f"/{platform.name}/"):
            continue
        body = {
            "ID": task.id,
            "Name": contract.service,
            "Address": task.agent.hostname,
            "Port": task.ports[0],
            "Check": {"Name": "readiness", "TTL": "1h", "Status": "passing"},
        }
        assert ask(f"{platform.consul.url}/v1/agent/service/register", "PUT", body, headers)[0] == 200
        note = "HTTP GET http://10.0.0.2/ready: 503 Service Unavailable Output: hush"
        check = f"{platform.consul.url}/v1/agent/check/update/service:{task.id}"
        assert ask(check, "PUT", {"Status": status, "Output": note}, headers)[0] == 200


def served(platform: Platform) -> CompiledContract:
    """Two instances that Marathon calls healthy."""
    first = platform.contract("v1")
    body = {**first.app.body, "portDefinitions": [{"port": 0}]}
    first = replace(first, app=replace(first.app, body=body))
    platform.deploy(first)
    return replace(first, service=platform.name)


def deregister(platform: Platform, most: int | None = None) -> str:
    """Take the instances, or as many, out of Consul; the last one's task."""
    headers = {"X-Consul-Token": platform.consul.token}
    tasks = platform.cluster.tasks()[:most]
    for task in tasks:
        ask(f"{platform.consul.url}/v1/agent/service/deregister/{task.id}", "PUT", None, headers)
    return tasks[-1].id


def edge_says(platform: Platform, *, generation: int, instances: int, problem: str = "") -> Says:
    """An edge's answer that has as many of the instances."""
    tasks = [task for task in platform.cluster.tasks() if task.owner.startswith(f"/{platform.name}/")]
    there = {task.id: f"{task.agent.hostname}:{task.ports[0]}" for task in tasks[:instances]}
    return Says(
        body={
            "routes": {platform.name: {"generation": generation, "instances": there}},
            "problems": {platform.name: problem} if problem else {},
        }
    )
