"""User data on a cloud-init drive."""

from __future__ import annotations

from constructs_lib.libvirt.secrets import secret_source
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.sites import user_data as shared
from constructs_lib.sites.user_data import Late

LIMIT = 2**20
"""Bytes; the drive itself has no limit, and a text of this size is a mistake."""


def user_data(plan: SitePlan, node: NodePlan | PoolPlan, late: Late) -> str:
    """The node's cloud-config as a Terraform template; errors as of `constructs_lib.sites.user_data`."""
    return shared.user_data(plan, node, late, source=secret_source(plan), limit=LIMIT)
