"""A lab's own secrets: it never sees those of a cluster that is deployed, nor those of its applications."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from constructs_lib.plan.model import PlannedSecret
from constructs_lib.secrets.ensure import ensure


def own_secrets(secrets: Iterable[PlannedSecret], store: Path) -> Mapping[str, str]:
    """Name → value of all of them, made where `store` has none; what somebody would supply is a password."""
    return ensure(map(_made, secrets), (), store, {})


def _made(secret: PlannedSecret) -> PlannedSecret:
    if secret.declared.kind != "supplied":
        return secret
    return replace(secret, declared=replace(secret.declared, kind="password"))
