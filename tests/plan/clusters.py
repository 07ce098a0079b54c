"""Specs for the plan's tests, small enough to read at a glance."""

from __future__ import annotations

from typing import Any

from constructs_lib.spec.model import ClusterSpec

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX ops@example.org"
ADMIN = {"networks": ["203.0.113.0/24"], "ssh_keys": [KEY]}


def cluster(*, name: str = "demo", software: dict[str, Any] | None = None, **site: Any) -> ClusterSpec:
    """A one-site cluster; keyword arguments are the site's settings."""
    defaults = {"platform": "aws", "aws": {"region": "eu-west-3"}, "network": "10.20.0.0/16", "zones": 3}
    return ClusterSpec.model_validate(
        {"name": name, "admin": ADMIN, "software": software or {}, "sites": {"eu": defaults | site}}
    )
