"""A provider configuration, and through it the schemas that the stack's resources are held to."""

from __future__ import annotations

from typing import Any

from constructs_lib.errors import ResourceError
from constructs_lib.terraform.base import Construct, TerraformProvider, member
from constructs_lib.terraform.check import check
from constructs_lib.terraform.naming import StackRecord, place_of, remember
from constructs_lib.terraform.plain import plain_mapping
from constructs_lib.terraform.schema import DEFAULT_SCHEMAS, Body, Schema, load_schema


class Provider(TerraformProvider):
    """`Provider(stack, "aws", "aws", source="hashicorp/aws", version="~> 6.0", region="eu-west-3")`.

    `name` is the provider's local name, the part of its types before the first "_". `version` is the
    constraint written into required_providers. `alias` makes a further configuration, which a resource
    chooses with `provider=`.

    `schemas` names the shipped schema files that every resource of this provider in this stack must fit.
    The default for aws is both, 3.39.0 and 6.25.0: a constraint such as `~> 6.0` says what a user's
    Terraform will pick, and the constructs here promise more, that the same stack also runs where only the
    older plugin can be had. A stack that needs something newer says `schemas=("aws-6.25.0",)`. A type that
    only one of the files has is held to that one. `schemas=()` switches the check off, which is the only
    way to use a provider whose schema is not shipped. Set it before the first resource of that provider:
    what was already checked would otherwise have passed under other rules.

    Raises ResourceError for settings the schema does not know, as for a resource.
    """

    def __init__(
        self,
        scope: Construct,
        id: str,
        name: str,
        /,
        *,
        source: str,
        version: str | None = None,
        alias: str | None = None,
        schemas: tuple[str, ...] | None = None,
        **config: Any,
    ) -> None:
        place = place_of(scope).child(id)
        hold_to(place.stack, name, schemas, place.path)
        loaded = [load_schema(schema) for schema in place.stack.schemas[name]]
        check(f"provider.{name}", config, _configs(loaded))
        self._name = name
        self._alias = alias
        self._required = {"source": source, **({"version": version} if version else {})}
        self._config = {**plain_mapping(config), **({"alias": alias} if alias else {})}
        super().__init__(
            scope,
            id,
            terraform_resource_type=name,
            terraform_provider_source=source,
            terraform_generator_metadata={"provider_name": name},
        )
        remember(self, place)

    @property
    def address(self) -> str:
        """How a `provider` argument names it: "aws" or "aws.west"."""
        return f"{self._name}.{self._alias}" if self._alias else self._name

    @property
    @member("alias")
    def alias(self) -> str | None:
        """The alias, asked by the engine when a resource of any binding chooses this provider."""
        return self._alias

    @member("toTerraform")
    def to_terraform(self) -> dict[str, Any]:
        """The fragment of cdk.tf.json; asked by the engine.

        Overridden as a whole because the base class puts all keys into snake case, those of a tags map too.
        """
        return {
            "terraform": {"required_providers": {self._name: self._required}},
            "provider": {self._name: [self._config]},
        }


def hold_to(stack: StackRecord, name: str, schemas: tuple[str, ...] | None, path: str) -> None:
    """Sets which schemas the types of provider `name` must fit in this stack."""
    wanted = DEFAULT_SCHEMAS.get(name) if schemas is None else tuple(schemas)
    if wanted is None:
        raise ResourceError(
            f"provider {name!r} at {path}: no schema of it is shipped, known are "
            f"{', '.join(DEFAULT_SCHEMAS)}; pass schemas=() to use it unchecked"
        )
    for schema in wanted:
        load_schema(schema)
    before = stack.schemas.get(name, DEFAULT_SCHEMAS.get(name))
    if wanted != before and name in stack.checked:
        raise ResourceError(
            f"provider {name!r} at {path}: schemas {wanted} come too late, {stack.checked[name]} was checked "
            f"against {before}; make the provider first"
        )
    stack.schemas[name] = wanted


def _configs(schemas: list[Schema]) -> list[tuple[str, Body]]:
    return [(schema.title, config) for schema in schemas if (config := schema.config()) is not None]
