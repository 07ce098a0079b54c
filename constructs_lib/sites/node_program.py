"""The nodes' program where user data has it not: a local value of the stack, compressed by Terraform.

Half of a node's text would be this one file; without it every role is below 12 KB on every platform.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from constructs import Construct as Scope

from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.cloud_init import gzip_size
from constructs_lib.nodes.late import resolve_for_terraform
from constructs_lib.terraform import TerraformStack


@cache
def node_program() -> str:
    """clustermesos-apply as it travels."""
    path = files("constructs_lib").joinpath("cloud_init", "base", "clustermesos-apply")
    return shipped("clustermesos-apply", path.read_text(encoding="utf-8"))


def part_size(parts: int) -> int:
    """Characters of each of so many parts of the compressed program in base64, at most."""
    return gzip_size(node_program()) * 4 // 3 // parts + 1


def compressed_program(scope: Scope) -> str:
    """HCL for all of it, compressed and in base64; makes the local value."""
    TerraformStack.of(scope).add_override("locals.node_program", resolve_for_terraform(node_program(), {}))
    return "base64gzip(local.node_program)"


def program_part(scope: Scope, start: int | str, size: int) -> str:
    """HCL for `size` characters of that from `start` on, maybe an expression; makes the local value."""
    return f"substr({compressed_program(scope)}, {start}, {size})"
