"""Elastic IPs, whose one necessary word changed with every generation of the plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from constructs_lib.aws.settings import plugin_generation
from constructs_lib.aws.tags import tags
from constructs_lib.components.model import Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Construct, Resource, TerraformElement

_FIRST_WITHOUT_VPC = 5


def elastic_ips(
    scope: Construct,
    id: str,
    plan: SitePlan,
    keys: Mapping[str, str],
    *,
    name: str,
    role: Role | None = None,
    depends_on: Sequence[TerraformElement] = (),
) -> Resource:
    """One address per key of `keys`, tagged with the Name `<cluster>-<site>-<name>`.

    Today every address belongs to a VPC by itself, and plugin 6.x has no `vpc` any more. Before 5.0 the plugin tags none
    without `vpc = true`, which is therefore set past the schema check, for these versions only.
    """
    address = Resource(
        scope, id, "aws_eip", for_each=keys, depends_on=depends_on, tags=tags(plan, name, role)
    )
    generation = plugin_generation(plan)
    if generation is not None and generation < _FIRST_WITHOUT_VPC:
        address.add_override("vpc", True)
    return address
