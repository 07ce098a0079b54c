"""What Marathon finds wrong in an app before it deploys it (`AppValidation.scala`), in part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ID = re.compile(
    r"^(\/?((\.\.)|(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9]))?($|\/))+$"
)
_OPERATORS = {"UNIQUE", "CLUSTER", "GROUP_BY", "LIKE", "UNLIKE", "MAX_PER", "IS"}
_PROTOCOLS = {"HTTP", "HTTPS", "TCP", "COMMAND", "MESOS_HTTP", "MESOS_HTTPS", "MESOS_TCP"}

DEFAULTS: dict[str, Any] = {"cpus": 1, "mem": 128, "disk": 0, "instances": 1, "constraints": [], "labels": {}}
"""What an app has that does not say otherwise."""


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
    for name, least in (("cpus", 0), ("mem", 0), ("disk", 0), ("instances", 0)):
        value = app.get(name, DEFAULTS[name])
        if isinstance(value, bool) or not isinstance(value, int | float):
            wrong(f"/{name}", "error.expected.jsnumber")
        elif value < least:
            wrong(f"/{name}", f"got {value}, expected {least} or more")
    if not isinstance(app.get("instances", 1), int):
        wrong("/instances", "error.expected.int")
    for number, constraint in enumerate(app.get("constraints", [])):
        if not isinstance(constraint, list) or not 2 <= len(constraint) <= 3:
            wrong(f"/constraints({number})", "Each constraint must have either 2 or 3 fields")
        elif constraint[1] not in _OPERATORS:
            wrong(
                f"/constraints({number})",
                f"Constraint operator must be one of {', '.join(sorted(_OPERATORS))}",
            )
    for number, check in enumerate(app.get("healthChecks", [])):
        if isinstance(check, dict) and check.get("protocol", "HTTP") not in _PROTOCOLS:
            wrong(f"/healthChecks({number})/protocol", f"expected one of {', '.join(sorted(_PROTOCOLS))}")
    labels = app.get("labels", {})
    if not isinstance(labels, dict) or not all(isinstance(value, str) for value in labels.values()):
        wrong("/labels", "error.expected.jsstring")
    return [{"path": path, "errors": errors} for path, errors in found.items()]
