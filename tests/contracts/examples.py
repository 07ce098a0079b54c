"""Contracts for tests: the smallest, with what a test is about put in its place."""

from __future__ import annotations

from typing import Any

from constructs_lib.contracts.model import AppContract


def contract(name: str = "shop", *, dev: dict[str, Any] | None = None, **ops: Any) -> AppContract:
    """A web application; `dev` and the keyword arguments of ops replace what it has."""
    return AppContract.model_validate(settings(name, dev=dev, **ops))


def settings(name: str = "shop", *, dev: dict[str, Any] | None = None, **ops: Any) -> dict[str, Any]:
    """The same as a file has it."""
    return {
        "name": name,
        "owner": "shop@example.org",
        "dev": {"image": "shop:1.4.2", "ports": {"http": 8080}, "health": {"path": "/healthz"}} | (dev or {}),
        "ops": {"cpus": 0.5, "memory_mib": 512} | ops,
    }
