"""Input variables and outputs of a stack's root module; their names are exactly their ids."""

from __future__ import annotations

from typing import Any

from constructs_lib.terraform.base import Construct, TerraformOutput, TerraformVariable
from constructs_lib.terraform.hcl import Expr
from constructs_lib.terraform.naming import Place, logical_id, place_of, remember
from constructs_lib.terraform.nulls import default_is_null
from constructs_lib.terraform.plain import plain

_UNSET: Any = object()


class Variable(TerraformVariable):
    """`Variable(stack, "db_password", sensitive=True)`: its value comes from TF_VAR_db_password or a tfvars
    file.

    `type` is a Terraform type such as "string", "number" or "map(string)". A default of None makes it
    optional.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        /,
        *,
        type: str = "string",
        sensitive: bool = False,
        description: str | None = None,
        default: Any = _UNSET,
        nullable: bool | None = None,
    ) -> None:
        place = _claim(scope, id, "var")
        super().__init__(
            scope, id, type=type, sensitive=sensitive or None, description=description, nullable=nullable
        )
        _name(self, place, id)
        if default is None:
            default_is_null(self, id)
        elif default is not _UNSET:
            # By override: the engine would drop one that is empty.
            self.add_override("default", plain(default))
        self._id = id

    def ref(self) -> str:
        """`"${var.db_password}"`."""
        return Expr(f"var.{self._id}")


class Output(TerraformOutput):
    """`Output(stack, "gateway", value=eip.ref("public_ip"))`: read with `terraform output -json`."""

    def __init__(
        self,
        scope: Construct,
        id: str,
        value: Any,
        /,
        *,
        sensitive: bool = False,
        description: str | None = None,
    ) -> None:
        place = _claim(scope, id, "output")
        super().__init__(scope, id, value=plain(value), sensitive=sensitive or None, description=description)
        _name(self, place, id)


def _claim(scope: Construct, id: str, kind: str) -> Place:
    """The place of a new construct whose Terraform name is its id alone, wherever it stands."""
    place = place_of(scope).child(id)
    logical_id(Place(place.stack, (id,)), kind)
    place.stack.claim(f"{kind}.{id}", place.path)
    return place


def _name(element: TerraformVariable | TerraformOutput, place: Place, id: str) -> None:
    remember(element, place)
    if len(place.parts) > 1:
        element.override_logical_id(id)
