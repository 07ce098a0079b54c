"""A machine's user data: the node's files, packed for its first boot, as a Terraform expression.

The text stays readable in cdk.tf.json, as a local value; Terraform compresses it, because the gzip of two
Pythons differs and nodes would then drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from constructs import Construct as Scope

from constructs_lib.errors import SpecError, UserDataError
from constructs_lib.nodes.cloud_init import SecretSource, check_size, gzip_size, pack
from constructs_lib.nodes.late import MARKER, resolve_for_terraform
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.terraform import Expr, TerraformStack

Late = Mapping[str, Expr]
"""A late value's name → the expression for it."""


def user_data(
    plan: SitePlan, node: NodePlan | PoolPlan, late: Late, *, source: SecretSource, limit: int
) -> str:
    """The node's cloud-config as a Terraform template; UserDataError when it is over `limit` compressed.

    `late` may hold more values than the text asks for; SpecError when it lacks one.
    """
    files = render(plan, node)
    text = pack(files, source)
    try:
        check_size(text, plan.late_values, limit, who=f"{plan.cluster}/{plan.name}/{node.name}")
    except UserDataError as error:
        raise _with_advice(error, gzip_size(text), files, source) from None
    asked = set(MARKER.findall(text))
    missing = sorted(asked - set(late))
    if missing:
        raise SpecError(
            f"late values of {node.name}", sorted(late), f"{missing} too: pass `late=` to the construct"
        )
    return resolve_for_terraform(text, {name: late[name].code for name in sorted(asked)})


def _with_advice(error: UserDataError, size: int, files: NodeFiles, source: SecretSource) -> UserDataError:
    """The error with what to do about it; `size` is that of the whole text."""
    if not files.cloud_config:
        return UserDataError(
            f"{error}. cluster.yaml adds nothing there that could be shortened: please report it as a fault",
            over=error.over,
        )
    added = size - gzip_size(pack(replace(files, cloud_config={}), source))
    less = f"by at least {error.over:,}" if error.over < added else "to nothing"
    return UserDataError(
        f"{error}. cloud_config.{files.role} adds {added:,} bytes of it: shorten it {less}, or bake an image",
        over=error.over,
        setting=("cloud_config", files.role.value),
    )


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
