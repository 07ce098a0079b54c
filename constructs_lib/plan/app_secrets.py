"""Secrets of applications: files on the agents of the pools that cluster.yaml names, and nowhere else."""

from __future__ import annotations

from typing import Final

from constructs_lib.components.model import Role, Secret
from constructs_lib.plan.model import PlannedSecret
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.terms import app_secret_name

FOLDER: Final = "/etc/clustermesos/app-secrets"
"""On agents; root's alone, so that the files may be readable: inside a container somebody else reads them."""


def path(reference: str) -> str:
    """The file of a secret on an agent."""
    return f"{FOLDER}/{reference}"


def app_secrets(spec: ClusterSpec, site: str) -> tuple[PlannedSecret, ...]:
    """Those that agents of the site read."""
    pools = spec.sites[site].agents
    return tuple(
        PlannedSecret(
            name=app_secret_name(reference),
            declared=Secret(
                name=app_secret_name(reference),
                kind="password" if secret.made else "supplied",
                roles=(Role.AGENT,),
                to=path(reference),
                mode=0o444,
            ),
            site=None,
            pools=secret.pools,
        )
        for reference, secret in spec.app_secrets.items()
        if any(pool in pools for pool in secret.pools)
    )
