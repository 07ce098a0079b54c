"""Where on an agent a contract's secrets and volumes are."""

from __future__ import annotations

from typing import Final

from constructs_lib.plan import app_secrets

IN_CONTAINER: Final = "/run/secrets"
LOCAL: Final = "/var/lib/clustermesos/volumes"
SHARED: Final = "/srv/shared"
"""Where a pool's shared file system is mounted (components/shared.py)."""
SCRATCH: Final = "/var/lib/clustermesos/restore-test"
METRICS: Final = "/var/lib/prometheus/node-exporter"
"""Whose `*.prom` the distributions' node exporter reads."""


def volume(contract: str, name: str, kind: str) -> str:
    """The folder of a volume on an agent."""
    return f"{SHARED if kind == 'shared' else LOCAL}/{contract}/{name}"


def mount(source: str, target: str, *, write: bool = False) -> dict[str, str]:
    """A volume as Marathon and Chronos take it; read-only unless `write`."""
    return {"hostPath": source, "containerPath": target, "mode": "RW" if write else "RO"}


def secret_mounts(secrets: dict[str, str]) -> list[dict[str, str]]:
    """A read-only file for each secret, by its variable's name."""
    return [
        mount(app_secrets.path(reference), f"{IN_CONTAINER}/{name}")
        for name, reference in sorted(secrets.items())
    ]


def secret_environment(secrets: dict[str, str]) -> dict[str, str]:
    """`DB_PASSWORD_FILE` → where the file is in the container."""
    return {f"{name}_FILE": f"{IN_CONTAINER}/{name}" for name in sorted(secrets)}
