"""An app as Marathon stores and shows it: with everything that it fills in itself (RAML defaults)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from constructs_lib.simulator.json_types import without_nulls

App = dict[str, Any]
_APP: App = {
    "backoffFactor": 1.15,
    "backoffSeconds": 1,
    "constraints": [],
    "cpus": 1,
    "disk": 0,
    "env": {},
    "executor": "",
    "fetch": [],
    "gpus": 0,
    "instances": 1,
    "killSelection": "YOUNGEST_FIRST",
    "labels": {},
    "maxLaunchDelaySeconds": 300,
    "mem": 128,
    "requirePorts": False,
    "role": "*",
    "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 1},
    "unreachableStrategy": {"inactiveAfterSeconds": 0, "expungeAfterSeconds": 0},
}
_HEALTH_CHECK: App = {
    "protocol": "HTTP",
    "gracePeriodSeconds": 300,
    "intervalSeconds": 60,
    "maxConsecutiveFailures": 3,
    "timeoutSeconds": 20,
    "delaySeconds": 15,
    "ipProtocol": "IPv4",
}
_READINESS_CHECK: App = {
    "name": "readinessCheck",
    "protocol": "HTTP",
    "path": "/",
    "portName": "http-api",
    "intervalSeconds": 30,
    "timeoutSeconds": 10,
    "httpStatusCodesForReady": [200],
    "preserveLastResponse": False,
}
_PORT_MAPPING: App = {"hostPort": 0, "labels": {}, "protocol": "tcp"}
COUNTS = ("tasksStaged", "tasksRunning", "tasksHealthy", "tasksUnhealthy")
_SHOWN_ONLY = (
    *COUNTS,
    "deployments",
    "tasks",
    "lastTaskFailure",
    "readinessCheckResults",
    "version",
    "versionInfo",
    "uris",
    "taskStats",
)
"""What Marathon adds to an app that it shows, and ignores in one that it is sent."""


def sent(app: Mapping[str, Any]) -> App:
    """What of a request's app counts."""
    found: App = without_nulls({name: value for name, value in app.items() if name not in _SHOWN_ONLY})
    return found


def complete(app: Mapping[str, Any]) -> App:
    """The app with every default."""
    found: App = {**_APP, **app}
    found["upgradeStrategy"] = {**_APP["upgradeStrategy"], **found["upgradeStrategy"]}
    container = found.get("container")
    if container:
        found["container"] = _container(container)
    if not found.get("networks"):
        found["networks"] = [{"mode": "container/bridge"} if _mapped(container) else {"mode": "host"}]
    if (
        not _mapped(container)
        and found["networks"][0].get("mode") == "host"
        and "portDefinitions" not in found
    ):
        found["portDefinitions"] = [{"port": 0, "protocol": "tcp", "labels": {}}]
    found["readinessChecks"] = [{**_READINESS_CHECK, **check} for check in found.get("readinessChecks", [])]
    found["healthChecks"] = [_health_check(check) for check in found.get("healthChecks", [])]
    return found


def _mapped(container: Mapping[str, Any] | None) -> bool:
    return bool(container and container.get("portMappings"))


def _container(container: Mapping[str, Any]) -> App:
    found: App = {"type": "MESOS", "volumes": [], **container}
    if "docker" in found:
        found["docker"] = {"forcePullImage": False, "parameters": [], "privileged": False, **found["docker"]}
    if found.get("portMappings"):
        found["portMappings"] = [{**_PORT_MAPPING, **mapping} for mapping in found["portMappings"]]
    return found


def _health_check(check: Mapping[str, Any]) -> App:
    found = {**_HEALTH_CHECK, **check}
    if found["protocol"] in ("HTTP", "HTTPS", "MESOS_HTTP", "MESOS_HTTPS"):
        found.setdefault("path", "/")
    if found["protocol"] != "COMMAND" and "port" not in found:
        found.setdefault("portIndex", 0)
    return found


def locked(deployments: list[str]) -> App:
    """The body of 409: which deployments hold the app."""
    message = (
        "App is locked by one or more deployments. Override with the option '?force=true'. "
        "View details at '/v2/deployments/<DEPLOYMENT_ID>'."
    )
    return {"message": message, "deployments": [{"id": id} for id in deployments]}


def invalid(details: list[dict[str, Any]]) -> App:
    """The body of 422."""
    return {"message": "Object is not valid", "details": details}


def no_json(path: str, error: str) -> App:
    """The body of 400: the request is no JSON, or not an object."""
    return {"message": "Invalid JSON", "details": [{"path": path, "errors": [error]}]}


def no_app(id: str) -> App:
    """The body of 404."""
    return {"message": f"App '{id}' does not exist"}
