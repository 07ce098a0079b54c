"""Local values of a stack, for maps that many instances of a resource read."""

from __future__ import annotations

from collections.abc import Mapping

from constructs_lib.terraform.hcl import Expr
from constructs_lib.terraform.naming import Place, logical_id


def local_value(place: Place, word: str, value: Mapping[str, object] | str) -> Expr:
    """`value` as the local value `<path of place>_<word>` of its stack; returns the reference to it.

    Terraform works out a literal `for_each` anew for each of its instances, and a hundred that refer to other
    resources then take a plan from seconds to minutes. A local value is worked out once. ResourceError where
    another construct has the name.
    """
    name = f"{logical_id(place, 'local')}_{word}"
    place.stack.claim(f"local.{name}", f"{place.path}/{word}")
    place.stack.construct.add_override(f"locals.{name}", value)
    return Expr(f"local.{name}")
