"""A machine's user data: the node's files, packed for its first boot, as a Terraform expression.

The text stays readable in cdk.tf.json, as a local value; Terraform compresses it, because the gzip of two
Pythons differs and nodes would then drift.
"""

from __future__ import annotations

from collections.abc import Mapping

from constructs import Construct as Scope

from constructs_lib.errors import SpecError
from constructs_lib.nodes.cloud_init import SecretSource, check_size, pack
from constructs_lib.nodes.late import MARKER, resolve_for_terraform
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.terraform import Expr, TerraformStack

Late = Mapping[str, Expr]
"""A late value's name → the expression for it."""


def user_data(
    plan: SitePlan, node: NodePlan | PoolPlan, late: Late, *, source: SecretSource, limit: int
) -> str:
    """The node's cloud-config as a Terraform template; RenderError when it is over `limit` compressed.

    `late` may hold more values than the text asks for; SpecError when it lacks one.
    """
    text = pack(render(plan, node), source)
    check_size(text, plan.late_values, limit, who=f"{plan.cluster}/{plan.name}/{node.name}")
    asked = set(MARKER.findall(text))
    missing = sorted(asked - set(late))
    if missing:
        raise SpecError(
            f"late values of {node.name}", sorted(late), f"{missing} too: pass `late=` to the construct"
        )
    return resolve_for_terraform(text, {name: late[name].code for name in sorted(asked)})


def compressed(scope: Scope, name: str, texts: Mapping[str, str]) -> Expr:
    """`texts` by node name as the stack's local value `name`; returns the user data of `each.key`."""
    stack = TerraformStack.of(scope)
    for key, text in texts.items():
        stack.add_override(f"locals.{name}.{key}", text)
    return Expr(f"base64gzip(local.{name}[each.key])")


def compressed_one(scope: Scope, name: str, text: str) -> Expr:
    """`text` as the stack's local value `name`; returns its user data."""
    TerraformStack.of(scope).add_override(f"locals.{name}", text)
    return Expr(f"base64gzip(local.{name})")
