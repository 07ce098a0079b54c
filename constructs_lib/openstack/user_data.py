"""User data on nova."""

from __future__ import annotations

from constructs_lib.openstack.secrets import secret_source
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.sites import user_data as shared
from constructs_lib.sites.user_data import Late

LIMIT = 49_149
"""Bytes before base64: nova takes 65,535 characters of it. Its refusal would print the whole text."""


def user_data(plan: SitePlan, node: NodePlan | PoolPlan, late: Late) -> str:
    """The node's cloud-config as a Terraform template; errors as of `constructs_lib.sites.user_data`."""
    return shared.user_data(plan, node, late, source=secret_source(plan), limit=LIMIT)
