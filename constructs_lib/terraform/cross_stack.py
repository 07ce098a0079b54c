"""Values of one stack in another, by the engine's own mechanism.

The engine makes an output of the one stack and a data source of its state in the other, and deploys them in
that order. It finds references only in elements of its own, so that both ends are its local values here.
"""

from __future__ import annotations

from constructs_lib.terraform.base import TerraformLocal, TerraformStack
from constructs_lib.terraform.hcl import Expr


def offer(stack: TerraformStack, name: str, value: Expr) -> TerraformLocal:
    """`value` as the local value `name` of `stack`, for `take`."""
    return _local(stack, name, str(value))


def take(stack: TerraformStack, name: str, offered: TerraformLocal) -> Expr:
    """Another stack's value as the local value `name` of `stack`; returns the reference to it."""
    _local(stack, name, offered.as_string)
    return Expr(f"local.{name}")


def _local(stack: TerraformStack, name: str, text: str) -> TerraformLocal:
    local = TerraformLocal(stack, name, text)
    local.override_logical_id(name)
    return local
