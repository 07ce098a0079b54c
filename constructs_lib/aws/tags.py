"""Tags of everything that can have tags.

They stand on each resource, because `default_tags` of the provider makes second plans differ (plugin 3.39.0:
elastic IPs, launch templates and through them Auto Scaling groups).
"""

from __future__ import annotations

from constructs_lib.components.model import Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import literal


def tags(plan: SitePlan, name: str, role: Role | None = None) -> dict[str, str]:
    """Tags of one resource: the cluster's own, cluster, site and role, and `Name` = `demo-eu-<name>`.

    `name` may hold a template such as `${each.key}`.
    """
    return {**common_tags(plan, role), "Name": f"{prefix(plan)}-{name}"}


def common_tags(plan: SitePlan, role: Role | None = None) -> dict[str, str]:
    """All tags but `Name`."""
    own = {literal(key): literal(value) for key, value in plan.tags.items()}
    ours = {"clustermesos:cluster": plan.cluster, "clustermesos:site": plan.name}
    return own | ours | ({"clustermesos:role": role.value} if role else {})
