"""Terraform resources over cdktf or cdktn, checked against provider schemas, without generated bindings.

Names are loaded at first use, so that importing this package does not start the engine; `warm_engine()`
starts it in the background. `Scope` is any construct, a user's own too, and `Construct` the one to derive
from. Take both from here and not from `constructs`, whose import starts whatever Node is on PATH.

    from constructs_lib.terraform import App, Provider, Resource, TerraformStack, local_backend

    app = App()
    stack = TerraformStack(app, "eu")
    local_backend(stack, "terraform.tfstate")
    Provider(stack, "aws", "aws", source="hashicorp/aws", version="~> 6.0", region="eu-west-3")
    vpc = Resource(stack, "vpc", "aws_vpc", cidr_block="10.20.0.0/16")
    Resource(stack, "subnet", "aws_subnet", vpc_id=vpc.ref("id"), cidr_block="10.20.1.0/24")
    app.synth()
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from constructs_lib.terraform.engine import engine_name, warm_engine
from constructs_lib.terraform.hcl import Expr, literal, to_hcl

if TYPE_CHECKING:
    from constructs_lib.terraform.base import Construct as Scope
    from constructs_lib.terraform.base import TerraformElement, TerraformStack
    from constructs_lib.terraform.cross_stack import Offered, offer, take
    from constructs_lib.terraform.naming import NamedConstruct as Construct
    from constructs_lib.terraform.provider import Provider
    from constructs_lib.terraform.resource import DataSource, Resource
    from constructs_lib.terraform.stack import App, Backend, backend, local_backend, synth_json
    from constructs_lib.terraform.values import Output, Variable

_HOMES = {
    "App": "stack:App",
    "Backend": "stack:Backend",
    "Construct": "naming:NamedConstruct",
    "DataSource": "resource:DataSource",
    "Offered": "cross_stack:Offered",
    "Output": "values:Output",
    "Provider": "provider:Provider",
    "Resource": "resource:Resource",
    "Scope": "base:Construct",
    "TerraformElement": "base:TerraformElement",
    "TerraformStack": "base:TerraformStack",
    "Variable": "values:Variable",
    "backend": "stack:backend",
    "local_backend": "stack:local_backend",
    "offer": "cross_stack:offer",
    "synth_json": "stack:synth_json",
    "take": "cross_stack:take",
}

__all__ = [
    "App",
    "Backend",
    "Construct",
    "DataSource",
    "Expr",
    "Offered",
    "Output",
    "Provider",
    "Resource",
    "Scope",
    "TerraformElement",
    "TerraformStack",
    "Variable",
    "backend",
    "engine_name",
    "literal",
    "local_backend",
    "offer",
    "synth_json",
    "take",
    "to_hcl",
    "warm_engine",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    value = globals()[name] = getattr(importlib.import_module(f"{__name__}.{module}"), attribute)
    return value
