"""Which of Marathon's apps are this cluster's, by their labels: contract → versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from constructs_lib.contracts.compiled import LABEL

App = Mapping[str, Any]


def label(app: App, name: str) -> str | None:
    """The value of `clustermesos/NAME`, None without it."""
    found = (app.get("labels") or {}).get(f"{LABEL}/{name}")
    return str(found) if found is not None else None


def by_contract(apps: Iterable[App], cluster: str) -> dict[str, dict[str, App]]:
    """Contract → version → app, of the apps that carry this cluster's label."""
    found: dict[str, dict[str, App]] = {}
    for app in apps:
        contract, version = label(app, "contract"), label(app, "version")
        if label(app, "cluster") == cluster and contract and version:
            found.setdefault(contract, {})[version] = app
    return found


def happy(app: App) -> int:
    """Instances that serve as far as Marathon knows: healthy ones; without a check, running ones."""
    return int(app.get("tasksHealthy" if app.get("healthChecks") else "tasksRunning", 0))
