"""A contract's Marathon app: one for each version, named after the hash of what its tasks are made of.

Source: Marathon 1.10's RAML (`app.raml`, `appContainer.raml`, `healthCheck.raml`, `unreachableStrategy.raml`)
and its `docs/fault-domain-awareness.md`; Registrator's `docs/user/services.md` for `SERVICE_PORT_*`.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from constructs_lib.contracts import paths, placement
from constructs_lib.contracts.compiled import LABEL, AppVersion
from constructs_lib.contracts.dev import HealthSpec
from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.runtimes import environment
from constructs_lib.plan.model import ClusterPlan

Body = dict[str, Any]


def app_version(contract: AppContract, plan: ClusterPlan) -> AppVersion:
    """The app of the contract's present version."""
    body = _body(contract, plan)
    version = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:8]
    app_id = f"/{contract.name}/{version}"
    body["env"] |= {"CLUSTERMESOS_VERSION": version, **_tags(contract, version)}
    # Beside the hash: another owner restarts nothing.
    labels = {
        f"{LABEL}/cluster": plan.name,
        f"{LABEL}/contract": contract.name,
        f"{LABEL}/version": version,
        f"{LABEL}/owner": contract.owner,
        f"{LABEL}/on-call": contract.on_call or contract.owner,
    }
    body["labels"] = dict(sorted((body["labels"] | labels).items()))
    body["env"] = dict(sorted(body["env"].items()))
    return AppVersion(
        id=app_id, version=version, body={"id": app_id, **body}, checked=contract.dev.health is not None
    )


def service_name(contract: AppContract, port: str) -> str:
    """What Consul calls a port: the contract's name, and the port's behind it if it isn't the main one."""
    return contract.name if port == contract.dev.main_port else f"{contract.name}-{port}"


def _body(contract: AppContract, plan: ClusterPlan) -> Body:
    """Everything that the hash covers."""
    dev, ops = contract.dev, contract.ops
    body: Body = {
        "cpus": ops.cpus,
        "mem": ops.memory_mib,
        "disk": ops.disk_mib,
        "constraints": placement.constraints(contract, plan),
        "env": _environment(contract, plan),
        "labels": {f"{LABEL}/logs": dev.logs.format},
        "healthChecks": [_health(contract, dev.health)] if dev.health else [],
        "taskKillGracePeriodSeconds": dev.stop_seconds,
        "unreachableStrategy": _unreachable(contract, plan),
        "upgradeStrategy": _upgrade(contract),
        "backoffSeconds": 1,
        "backoffFactor": 1.15,
        "maxLaunchDelaySeconds": 300,
    }
    if dev.command:
        body["cmd"] = dev.command
    elif dev.args:
        body["args"] = list(dev.args)
    return body | (_container(contract) if dev.image else _on_the_agent(contract))


def _environment(contract: AppContract, plan: ClusterPlan) -> dict[str, str]:
    dev, ops = contract.dev, contract.ops
    return {
        **environment(dev.runtime, memory_mib=ops.memory_mib, cpus=ops.cpus),
        **dev.env,
        **paths.secret_environment(dev.secrets),
        **_service(contract),
        "CLUSTERMESOS_CLUSTER": plan.name,
        "CLUSTERMESOS_CONTRACT": contract.name,
    }


def _service(contract: AppContract) -> dict[str, str]:
    """What Registrator reads of the container: the names of its ports in Consul, and the route check."""
    dev = contract.dev
    if dev.image is None:
        return {}
    found = {f"SERVICE_{number}_NAME": service_name(contract, port) for port, number in dev.ports.items()}
    ready, health = dev.readiness, dev.health
    asked = ready or health
    port = (asked.port or dev.main_port) if asked else None
    if asked is None or port is None or not (asked.path or asked.tcp):
        return found
    start = f"SERVICE_{dev.ports[port]}_CHECK"
    # Strict where the restart check is lax: Consul's answer decides about requests, and about nothing else.
    interval, timeout = (ready.interval_seconds, ready.timeout_seconds) if ready else (5, 2)
    how = {f"{start}_HTTP": asked.path} if asked.path else {f"{start}_TCP": "true"}
    return {**found, **how, f"{start}_INTERVAL": f"{interval}s", f"{start}_TIMEOUT": f"{timeout}s"}


def _tags(contract: AppContract, version: str) -> dict[str, str]:
    if contract.dev.image is None:
        return {}
    return {f"SERVICE_{number}_TAGS": f"version={version}" for number in contract.dev.ports.values()}


def _container(contract: AppContract) -> Body:
    dev = contract.dev
    mounts = [
        paths.mount(paths.volume(contract.name, name, volume.kind), volume.path, write=not volume.read_only)
        for name, volume in sorted(dev.volumes.items())
    ]
    return {
        "container": {
            "type": "DOCKER",
            "docker": {
                "image": dev.image,
                "forcePullImage": dev.allow_latest,
                "parameters": [
                    {"key": "label", "value": f"{LABEL}.contract={contract.name}"},
                    {"key": "log-opt", "value": f"max-size={dev.logs.max_mib}m"},
                ],
            },
            "portMappings": [
                {
                    "containerPort": number,
                    "hostPort": dev.host_ports.get(name, 0),
                    "protocol": "udp" if name in dev.udp_ports else "tcp",
                    "name": name,
                }
                for name, number in dev.ports.items()
            ],
            "volumes": [*mounts, *paths.secret_mounts(dev.secrets)],
        },
        # Registrator sees published ports only, which a container on the host's network has none of.
        "networks": [{"mode": "container/bridge"}],
    }


def _on_the_agent(contract: AppContract) -> Body:
    """A command without an image: in Mesos' own containerizer, on the agent's network."""
    dev = contract.dev
    return {
        "networks": [{"mode": "host"}],
        "requirePorts": bool(dev.host_ports),
        "portDefinitions": [
            {"port": number, "protocol": "udp" if name in dev.udp_ports else "tcp", "name": name}
            for name, number in dev.host_ports.items()
        ],
    }


def _health(contract: AppContract, health: HealthSpec) -> Body:
    """Mesos asks, on the agent itself: a partition between agent and Marathon kills nothing.

    Mesos ends whoever fails, at the first failure where none is allowed; Marathon, which asks where nothing
    may be ended, takes 0 for never (`health-checks.md` of Marathon 1.10).
    """
    found: Body = {
        "gracePeriodSeconds": health.grace_seconds,
        "intervalSeconds": health.interval_seconds,
        "timeoutSeconds": health.timeout_seconds,
        "maxConsecutiveFailures": health.failures if health.restart else 0,
    }
    if health.command:
        return {"protocol": "COMMAND", "command": {"value": health.command}, **found}
    port = health.port or contract.dev.main_port
    index = list(contract.dev.ports).index(port) if port else 0
    by = "MESOS_" if health.restart else ""
    if health.tcp:
        return {"protocol": f"{by}TCP", "portIndex": index, **found}
    return {"protocol": f"{by}HTTP", "path": health.path, "portIndex": index, **found}


def _unreachable(contract: AppContract, plan: ClusterPlan) -> str | Body:
    """What happens to instances on an agent that is cut off, by the policy."""
    policy = placement.policy_of(contract, plan)
    cut_off, seconds = (policy.cut_off, policy.cut_off_seconds) if policy else ("by-state", 300)
    keeps = any(volume.kind == "local" and not volume.read_only for volume in contract.dev.volumes.values())
    if cut_off == "wait" or (cut_off == "by-state" and keeps):
        return "disabled"
    return {"inactiveAfterSeconds": seconds, "expungeAfterSeconds": seconds}


def _upgrade(contract: AppContract) -> Body:
    """Of Marathon's own upgrade, which only somebody else starts: ours are apps of their own."""
    none_beside = contract.ops.deploy.strategy == "recreate" or bool(contract.dev.host_ports)
    return {
        "minimumHealthCapacity": 0.0 if none_beside else 1.0,
        "maximumOverCapacity": 0.0 if none_beside else 1.0,
    }
