"""What Marathon finds wrong in an app before it deploys it (`AppValidation.scala`), in part."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from constructs_lib.simulator.json_types import ListOf, MapOf, Shape, mistyped, without_nulls

_ID = re.compile(
    r"^(\/?((\.\.)|(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9]))?($|\/))+$"
)
_OPERATORS = {"UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS"}
_PROTOCOLS = {"HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"}
_MODES = {"container", "container/bridge", "host"}
_LARGEST_PORT = 65535

_AT_LEAST = {
    "cpus": 0,
    "mem": 0,
    "disk": 0,
    "gpus": 0,
    "instances": 0,
    "backoffSeconds": 0,
    "backoffFactor": 1,
}
_PORT: dict[str, Shape] = {"name": "text", "protocol": "text", "labels": MapOf("text")}
_TYPES: Shape = {
    "id": "text",
    "cmd": "text",
    "args": ListOf("text"),
    "cpus": "number",
    "mem": "number",
    "disk": "number",
    "gpus": "int",
    "instances": "int",
    "constraints": ListOf(ListOf("text")),
    "labels": MapOf("text"),
    "env": MapOf("any"),
    "role": "text",
    "acceptedResourceRoles": ListOf("text"),
    "dependencies": ListOf("text"),
    "requirePorts": "bool",
    "backoffSeconds": "number",
    "backoffFactor": "number",
    "maxLaunchDelaySeconds": "number",
    "taskKillGracePeriodSeconds": "number",
    "killSelection": "text",
    "upgradeStrategy": {"minimumHealthCapacity": "number", "maximumOverCapacity": "number"},
    "unreachableStrategy": "any",
    "ports": ListOf("int"),
    "portDefinitions": ListOf({"port": "int", **_PORT}),
    "networks": ListOf({"mode": "text", "name": "text"}),
    "readinessChecks": ListOf(
        {
            "name": "text",
            "protocol": "text",
            "path": "text",
            "portName": "text",
            "intervalSeconds": "number",
            "timeoutSeconds": "number",
            "httpStatusCodesForReady": ListOf("int"),
            "preserveLastResponse": "bool",
        }
    ),
    "healthChecks": ListOf(
        {
            "protocol": "text",
            "path": "text",
            "port": "int",
            "portIndex": "int",
            "command": {"value": "text"},
            "gracePeriodSeconds": "number",
            "intervalSeconds": "number",
            "timeoutSeconds": "number",
            "delaySeconds": "number",
            "maxConsecutiveFailures": "int",
        }
    ),
    "container": {
        "type": "text",
        "docker": {"image": "text", "parameters": ListOf({"key": "text", "value": "text"})},
        "portMappings": ListOf({"containerPort": "int", "hostPort": "int", **_PORT}),
        "volumes": ListOf({"containerPath": "text", "hostPath": "text", "mode": "text"}),
    },
}

DEFAULTS: dict[str, Any] = {"cpus": 1, "mem": 128, "disk": 0, "instances": 1, "constraints": [], "labels": {}}
"""What an app has that does not say otherwise."""
Wrong = Callable[[str, str], None]


def problems(app: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Marathon's `details`: path and errors of everything that is wrong; empty for a valid app.

    Where types are wrong nothing else is looked at, as Marathon can't read it.
    """
    found: dict[str, list[str]] = {}

    def wrong(path: str, text: str) -> None:
        found.setdefault(path, []).append(text)

    for path, error in mistyped(app, _TYPES):
        wrong(path, error)
    if not found:
        _rules(without_nulls(app), wrong)
    return [{"path": path, "errors": errors} for path, errors in found.items()]


def _rules(app: Mapping[str, Any], wrong: Wrong) -> None:
    if not _ID.fullmatch(str(app.get("id", ""))) or app.get("id") == "/":
        wrong("/id", f"must fully match regular expression '{_ID.pattern}'")
    commands = [name for name in ("cmd", "args") if app.get(name)]
    if len(commands) == 2 or not (commands or app.get("container")):
        wrong("/", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.")
    for name, least in _AT_LEAST.items():
        if app.get(name, least) < least:
            wrong(f"/{name}", f"got {app[name]}, expected {least} or more")
    for number, constraint in enumerate(app.get("constraints", [])):
        _constraint(f"/constraints({number})", constraint, wrong)
    _container(app, wrong)
    for number, check in enumerate(app.get("healthChecks", [])):
        _health_check(f"/healthChecks({number})", check, app, wrong)
    _readiness(app.get("readinessChecks", []), wrong)
    for name, value in app.get("upgradeStrategy", {}).items():
        if name in ("minimumHealthCapacity", "maximumOverCapacity") and not 0 <= value <= 1:
            wrong(f"/upgradeStrategy/{name}", f"got {value}, expected between 0.0 and 1.0")
    for name, value in app.get("env", {}).items():
        if not isinstance(value, str) and not (
            isinstance(value, dict) and isinstance(value.get("secret"), str)
        ):
            wrong(f"/env/{name}", "error.expected.jsstring")


def _readiness(checks: list[Any], wrong: Wrong) -> None:
    if len(checks) > 1:
        wrong("/readinessChecks", "only one readiness check is allowed")
    for number, check in enumerate(checks):
        if check.get("timeoutSeconds", 10) >= check.get("intervalSeconds", 30):
            wrong(f"/readinessChecks({number})/timeoutSeconds", "must be less than intervalSeconds")


def _constraint(path: str, constraint: list[str], wrong: Wrong) -> None:
    if not 2 <= len(constraint) <= 3:
        return wrong(path, "Each constraint must have either 2 or 3 fields")
    operator, value = constraint[1], constraint[2] if len(constraint) == 3 else ""
    if operator not in _OPERATORS:
        wrong(path, f"Constraint operator must be one of {', '.join(sorted(_OPERATORS))}")
    elif operator == "UNIQUE" and value:
        wrong(path, "UNIQUE does not accept a value")
    elif operator == "GROUP_BY" and value and not value.isdecimal():
        wrong(path, "GROUP_BY may either have no value or an integer value")
    elif operator == "MAX_PER" and not value.isdecimal():
        wrong(path, "MAX_PER must have an integer value")
    elif operator in ("LIKE", "UNLIKE") and not _is_pattern(value):
        wrong(path, f"{operator} value must be a valid regular expression")
    elif operator == "IS" and not value:
        wrong(path, "IS must have a value")
    return None


def _is_pattern(text: str) -> bool:
    try:
        return bool(text) and bool(re.compile(text))
    except re.error:
        return False


def _container(app: Mapping[str, Any], wrong: Wrong) -> None:
    container = app.get("container", {})
    if container.get("type") == "DOCKER" and not container.get("docker", {}).get("image"):
        wrong("/container/docker/image", "must not be empty")
    for number, network in enumerate(app.get("networks", [])):
        if network.get("mode", "container") not in _MODES:
            wrong(f"/networks({number})/mode", f"expected one of {', '.join(sorted(_MODES))}")
    mappings = container.get("portMappings", [])
    for number, mapping in enumerate(mappings):
        for name in ("containerPort", "hostPort"):
            if not 0 <= mapping.get(name, 0) <= _LARGEST_PORT:
                wrong(
                    f"/container/portMappings({number})/{name}",
                    f"got {mapping[name]}, expected between 0 and {_LARGEST_PORT}",
                )
    for number, definition in enumerate(app.get("portDefinitions", [])):
        if not 0 <= definition.get("port", 0) <= _LARGEST_PORT:
            wrong(f"/portDefinitions({number})/port", f"got {definition['port']}, expected a port")
    fixed = [mapping["hostPort"] for mapping in mappings if mapping.get("hostPort")]
    if len(fixed) != len(set(fixed)):
        wrong("/container/portMappings", "Elements must be unique")


def _health_check(path: str, check: Mapping[str, Any], app: Mapping[str, Any], wrong: Wrong) -> None:
    protocol = check.get("protocol", "HTTP")
    if protocol not in _PROTOCOLS:
        return wrong(f"{path}/protocol", f"expected one of {', '.join(sorted(_PROTOCOLS))}")
    if protocol == "COMMAND":
        if not check.get("command"):
            wrong(f"{path}/command", "must be defined for COMMAND")
        return None
    index = check.get("portIndex", None if "port" in check else 0)
    ports = app.get("container", {}).get("portMappings") or app.get("portDefinitions", app.get("ports"))
    if isinstance(index, int) and ports is not None and not 0 <= index < len(ports):
        wrong(
            path,
            f"Health check port indices must address an element of the ports array: got {index}",
        )
    return None
