"""Resources and data sources of any provider, checked against the provider's schema when they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from constructs_lib.terraform.addressed import Addressed
from constructs_lib.terraform.base import (
    Construct,
    TerraformDataSource,
    TerraformElement,
    TerraformProvider,
    TerraformResource,
)
from constructs_lib.terraform.meta import Count, ForEach, Meta
from constructs_lib.terraform.schema import Kind


class Resource(Addressed, TerraformResource):
    """A managed resource: `Resource(scope, "vpc", "aws_vpc", cidr_block="10.20.0.0/16")`.

    Its logical id is its construct path inside the stack joined with "_" (a leaf named "Resource" is
    dropped). `attributes` are the arguments of the type, nested blocks among them as a dict or a list of
    dicts; `dynamic={"tag": {"for_each": …, "content": {…}}}` makes blocks from an expression. Positional
    parameters have no names, so that `type=`, `id=` or `self=` can be attributes. Strings are Terraform
    templates: see `constructs_lib.terraform.hcl` and its `literal()`.

    for_each: a mapping (written as `merge({…})`, so that readers of the JSON don't mistake its keys) or an
    expression. count: a number or an expression. depends_on: resources or other elements. lifecycle:
    Terraform's own names. provider: a Provider with an alias.

    Raises ResourceError for names, types and counts that a schema of the stack's Provider refuses, for an
    id that Terraform would not take, and for an address that another construct has.
    """

    _kind: Kind = "resources"

    def __init__(
        self,
        scope: Construct,
        id: str,
        type: str,
        /,
        *,
        for_each: ForEach = None,
        count: Count = None,
        depends_on: Sequence[TerraformElement] = (),
        lifecycle: Mapping[str, Any] | None = None,
        provider: TerraformProvider | None = None,
        **attributes: Any,
    ) -> None:
        self._build(scope, id, type, Meta(for_each, count, depends_on, lifecycle, provider), attributes)


class DataSource(Addressed, TerraformDataSource):
    """A data source: `DataSource(scope, "ami", "aws_ami", owners=["099720109477"], most_recent=True)`.

    Same arguments and errors as `Resource`; `lifecycle` takes only precondition and postcondition.
    """

    _kind: Kind = "data_sources"

    def __init__(
        self,
        scope: Construct,
        id: str,
        type: str,
        /,
        *,
        for_each: ForEach = None,
        count: Count = None,
        depends_on: Sequence[TerraformElement] = (),
        lifecycle: Mapping[str, Any] | None = None,
        provider: TerraformProvider | None = None,
        **attributes: Any,
    ) -> None:
        self._build(scope, id, type, Meta(for_each, count, depends_on, lifecycle, provider), attributes)
