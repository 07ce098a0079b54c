"""Values of one stack in another, by the engine's own mechanism.

The engine makes an output of the one stack and a data source of its state in the other, and deploys them in
that order. It finds references only in elements of its own, so that both ends are its local values here.
"""

from __future__ import annotations

import re

from constructs_lib.terraform.base import TerraformLocal, TerraformStack
from constructs_lib.terraform.hcl import Expr

Offered = TerraformLocal


def offer(stack: TerraformStack, name: str, value: Expr) -> Offered:
    """`value` of `stack`, for `take` in stacks of the same app; `name` as a local value shows what it is."""
    return _local(stack, name, str(value))


def take(stack: TerraformStack, name: str, offered: Offered) -> Expr:
    """Another stack's value in `stack`, as a reference to a local value there."""
    return Expr(f"local.{_local(stack, name, offered.as_string).friendly_unique_id}")


def _local(stack: TerraformStack, name: str, text: str) -> TerraformLocal:
    word = re.sub(r"\W", "_", name)
    local = TerraformLocal(stack, word, text)
    local.override_logical_id(word)
    return local
