"""Elastic IPs, whose one necessary word changed with every generation of the plugin."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from constructs import Construct as Scope

from constructs_lib.aws.settings import plugin_generation
from constructs_lib.aws.tags import tags
from constructs_lib.components.model import Role
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Resource, TerraformElement
from constructs_lib.terraform.policy import accept

_FIRST_WITHOUT_VPC = 5


def elastic_ips(
    scope: Scope,
    id: str,
    plan: SitePlan,
    keys: Mapping[str, str],
    *,
    name: str,
    role: Role | None = None,
    depends_on: Sequence[TerraformElement] = (),
) -> Resource:
    """One address per key of `keys`, tagged with the Name `<cluster>-<site>-<name>`.

    Today every address belongs to a VPC by itself; the plugin wants it said all the same (before 5.0 it tags
    none without), by `vpc = true` before 5.0 and `domain = "vpc"` since. No version takes both, so the word
    is set past the schema check.
    """
    address = Resource(
        scope, id, "aws_eip", for_each=keys, depends_on=depends_on, tags=tags(plan, name, role)
    )
    generation = plugin_generation(plan)
    if generation is None:
        accept(address, "CKV2_AWS_19", "which word says that it is in a VPC depends on the plugin's version")
    elif generation < _FIRST_WITHOUT_VPC:
        address.add_override("vpc", True)
    else:
        address.add_override("domain", "vpc")
    return address
