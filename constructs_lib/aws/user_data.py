"""User data on EC2."""

from __future__ import annotations

from constructs_lib.aws.secrets import secret_source
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.sites import user_data as shared
from constructs_lib.sites.user_data import Late

LIMIT = 16_384
"""Bytes of user data that EC2 takes, before base64:
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-add-user-data.html."""


def user_data(plan: SitePlan, node: NodePlan | PoolPlan, late: Late) -> str:
    """The node's cloud-config as a Terraform template; errors as of `constructs_lib.sites.user_data`."""
    return shared.user_data(plan, node, late, source=secret_source(plan), limit=LIMIT)
