"""How everything is marked: metadata of machines and volumes, tags of what neutron keeps."""

from __future__ import annotations

from constructs_lib.components.model import Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import literal


def metadata(plan: SitePlan, role: Role | None = None) -> dict[str, str]:
    """The cluster's own tags, cluster, site and role."""
    own = {literal(key): literal(value) for key, value in plan.tags.items()}
    ours = {"clustermesos:cluster": plan.cluster, "clustermesos:site": plan.name}
    return own | ours | ({"clustermesos:role": role.value} if role else {})


def neutron_tags(plan: SitePlan) -> list[str]:
    """Cluster and site: neutron's tags are words of at most 60 characters, too short for everybody's own."""
    return [f"clustermesos:cluster={plan.cluster}", f"clustermesos:site={plan.name}"]
