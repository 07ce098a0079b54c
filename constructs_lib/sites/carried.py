"""What travels beside user data, as a local value of the stack, compressed by Terraform.

Half of a node's text would be the nodes' program alone; without it, and without what saves the platform's
state, every role is below 12 KB on every platform.
"""

from __future__ import annotations

from functools import lru_cache

from constructs import Construct as Scope

from constructs_lib.nodes.carried import bundle, carried, digest
from constructs_lib.nodes.cloud_init import gzip_size
from constructs_lib.nodes.late import resolve_for_terraform
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import TerraformStack


def size_in_base64(plan: SitePlan) -> int:
    """Characters of the site's bundle, compressed and in base64, at most."""
    return _size(bundle(carried(plan))) * 4 // 3 + 4


@lru_cache(maxsize=16)
def _size(text: str) -> int:
    # Asked for by every machine of a site.
    return gzip_size(text)


def part_size(plan: SitePlan, parts: int) -> int:
    """Characters of each of so many parts, at most. All have the same, so that the last one is not empty."""
    return -(-size_in_base64(plan) // parts)


def short_digest(plan: SitePlan) -> str:
    """Of the site's bundle: another text has another name wherever it is kept."""
    return digest(bundle(carried(plan)))[:12]


def compressed(scope: Scope, plan: SitePlan) -> str:
    """HCL for all of it, compressed and in base64; makes the local value."""
    # A key begins with a letter; sites of one stack may carry different texts.
    key = f"v{short_digest(plan)}"
    text = resolve_for_terraform(bundle(carried(plan)), {})
    TerraformStack.of(scope).add_override(f"locals.carried.{key}", text)
    return f"base64gzip(local.carried.{key})"


def part(scope: Scope, plan: SitePlan, start: int | str, size: int) -> str:
    """HCL for `size` characters of that from `start` on, maybe an expression; makes the local value."""
    return f"substr({compressed(scope, plan)}, {start}, {size})"
