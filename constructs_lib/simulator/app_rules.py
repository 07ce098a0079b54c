"""What Marathon finds wrong in an app before it deploys it (`AppValidation.scala`), in part."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

_ID = re.compile(
    r"^(\/?((\.\.)|(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9]))?($|\/))+$"
)
_OPERATORS = {"UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS"}
_PROTOCOLS = {"HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"}
_MODES = {"container", "container/bridge", "host"}
_LARGEST_PORT = 65535

DEFAULTS: dict[str, Any] = {"cpus": 1, "mem": 128, "disk": 0, "instances": 1, "constraints": [], "labels": {}}
"""What an app has that does not say otherwise."""
Wrong = Callable[[str, str], None]


def problems(app: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Marathon's `details`: path and errors of everything that is wrong; empty for a valid app."""
    found: dict[str, list[str]] = {}

    def wrong(path: str, text: str) -> None:
        found.setdefault(path, []).append(text)

    if not _ID.fullmatch(str(app.get("id", ""))) or app.get("id") == "/":
        wrong("/id", f"must fully match regular expression '{_ID.pattern}'")
    commands = [name for name in ("cmd", "args") if app.get(name)]
    if len(commands) == 2 or not (commands or app.get("container")):
        wrong("/", "AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.")
    _amounts(app, wrong)
    for number, constraint in enumerate(_list(app, "constraints", wrong)):
        _constraint(f"/constraints({number})", constraint, wrong)
    _container(app, wrong)
    for number, check in enumerate(_list(app, "healthChecks", wrong)):
        _health_check(f"/healthChecks({number})", check, app, wrong)
    if len(_list(app, "readinessChecks", wrong)) > 1:
        wrong("/readinessChecks", "only one readiness check is allowed")
    _strategy(app.get("upgradeStrategy"), wrong)
    labels = app.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        wrong("/labels", "error.expected.jsstring")
    _environment(app.get("env", {}), wrong)
    return [{"path": path, "errors": errors} for path, errors in found.items()]


def _amounts(app: Mapping[str, Any], wrong: Wrong) -> None:
    for name, least in (("cpus", 0), ("mem", 0), ("disk", 0), ("instances", 0)):
        value = app.get(name, DEFAULTS[name])
        if isinstance(value, bool) or not isinstance(value, int | float):
            wrong(f"/{name}", "error.expected.jsnumber")
        elif value < least:
            wrong(f"/{name}", f"got {value}, expected {least} or more")
    if not isinstance(app.get("instances", 1), int):
        wrong("/instances", "error.expected.int")


def _list(app: Mapping[str, Any], name: str, wrong: Wrong) -> list[Any]:
    found = app.get(name, [])
    if isinstance(found, list):
        return found
    wrong(f"/{name}", "error.expected.jsarray")
    return []


def _constraint(path: str, constraint: object, wrong: Wrong) -> None:
    if (
        not isinstance(constraint, list)
        or not 2 <= len(constraint) <= 3
        or not all(isinstance(part, str) for part in constraint)
    ):
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
    container = app.get("container")
    if container is None:
        container = {}
    if not isinstance(container, dict):
        return wrong("/container", "error.expected.jsobject")
    if container.get("type") == "DOCKER" and not (container.get("docker") or {}).get("image"):
        wrong("/container/docker/image", "must not be empty")
    for number, network in enumerate(_list(app, "networks", wrong)):
        mode = network.get("mode", "container") if isinstance(network, dict) else None
        if mode not in _MODES:
            wrong(f"/networks({number})/mode", f"expected one of {', '.join(sorted(_MODES))}")
    mappings = container.get("portMappings") or []
    for number, mapping in enumerate(mappings if isinstance(mappings, list) else []):
        for name in ("containerPort", "hostPort"):
            port = mapping.get(name, 0) if isinstance(mapping, dict) else None
            if port is not None and (not isinstance(port, int) or not 0 <= port <= _LARGEST_PORT):
                wrong(
                    f"/container/portMappings({number})/{name}",
                    f"got {port}, expected between 0 and {_LARGEST_PORT}",
                )
    fixed = [one.get("hostPort") for one in mappings if isinstance(one, dict) and one.get("hostPort")]
    if len(fixed) != len(set(fixed)):
        wrong("/container/portMappings", "Elements must be unique")
    return None


def _health_check(path: str, check: object, app: Mapping[str, Any], wrong: Wrong) -> None:
    if not isinstance(check, dict):
        return wrong(path, "error.expected.jsobject")
    protocol = check.get("protocol", "HTTP")
    if protocol not in _PROTOCOLS:
        return wrong(f"{path}/protocol", f"expected one of {', '.join(sorted(_PROTOCOLS))}")
    if protocol == "COMMAND":
        if not check.get("command"):
            wrong(f"{path}/command", "must be defined for COMMAND")
        return None
    index = check.get("portIndex", None if "port" in check else 0)
    ports = (app.get("container") or {}).get("portMappings") or app.get("portDefinitions", app.get("ports"))
    if isinstance(index, int) and ports is not None and not 0 <= index < len(ports):
        wrong(
            path,
            f"Health check port indices must address an element of the ports array: got {index}",
        )
    if check.get("timeoutSeconds", 20) >= check.get("intervalSeconds", 60) and protocol.startswith("MESOS"):
        wrong(path, "timeoutSeconds must be less than intervalSeconds")
    return None


def _strategy(strategy: object, wrong: Wrong) -> None:
    for name in ("minimumHealthCapacity", "maximumOverCapacity"):
        value = strategy.get(name, 1) if isinstance(strategy, dict) else 1
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            wrong(f"/upgradeStrategy/{name}", f"got {value}, expected between 0.0 and 1.0")


def _environment(environment: object, wrong: Wrong) -> None:
    if not isinstance(environment, dict):
        return wrong("/env", "error.expected.jsobject")
    for name, value in environment.items():
        if not isinstance(value, str) and not (
            isinstance(value, dict) and isinstance(value.get("secret"), str)
        ):
            wrong(f"/env/{name}", "error.expected.jsstring")
    return None
