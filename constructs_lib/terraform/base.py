"""The engine's classes that this package builds on, with types.

At run time these are the classes of whichever engine was chosen. For the type checker they are the few
members that are used here: the engines' own stubs are a megabyte each, and which of the two applies is only
known at run time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import jsii

from constructs_lib.terraform.engine import load_engine

engine: Any = load_engine()

_Method = TypeVar("_Method", bound=Callable[..., Any])


def member(jsii_name: str) -> Callable[[_Method], _Method]:
    """Marks a method as the override of the engine's method of that JavaScript name."""
    marked: Callable[[_Method], _Method] = jsii.member(jsii_name=jsii_name)
    return marked


def jsii_create(instance: Any, *arguments: object) -> None:
    """Makes the engine's object of `instance`, as its binding's constructor does, without the type checks.

    Those take 0.3 ms per object, as long as the round trip itself. The last argument is the config, its
    keys in JavaScript's spelling.
    """
    jsii.create(type(instance), instance, list(arguments))


if TYPE_CHECKING:
    from collections.abc import Mapping

    from constructs import Construct

    class TerraformStack(Construct):
        """One root module: everything below it lands in one cdk.tf.json."""

        def __init__(self, scope: Construct, id: str) -> None: ...
        def add_override(self, path: str, value: object) -> None:
            """Sets one value of the synthesized JSON; dots in `path` separate keys."""

        def add_dependency(self, dependency: TerraformStack) -> None:
            """Says that the other stack is deployed first."""

        @staticmethod
        def of(construct: Construct) -> TerraformStack:
            """The stack above a construct."""
            raise NotImplementedError

    class EngineApp(Construct):
        """The root of the construct tree."""

        def __init__(
            self,
            *,
            outdir: str | None = None,
            stack_traces: bool | None = None,
            context: Mapping[str, object] | None = None,
        ) -> None: ...
        def synth(self) -> None:
            """Writes every stack's cdk.tf.json under `outdir`."""

        @property
        def outdir(self) -> str:
            """The folder of the output, `cdktf.out` unless set."""
            raise NotImplementedError

    class TerraformElement(Construct):
        """Anything that ends up in cdk.tf.json."""

        def __init__(self, scope: Construct, id: str) -> None: ...
        def add_override(self, path: str, value: object) -> None:
            """Sets one value of the synthesized JSON; dots in `path` separate keys."""

        @property
        def friendly_unique_id(self) -> str:
            """The Terraform name."""
            raise NotImplementedError

        def override_logical_id(self, new_logical_id: str) -> None:
            """Sets the Terraform name."""

    class TerraformResource(TerraformElement):
        """A managed resource."""

        def __init__(self, scope: Construct, id: str, **config: object) -> None: ...

    class TerraformDataSource(TerraformElement):
        """A data source."""

        def __init__(self, scope: Construct, id: str, **config: object) -> None: ...

    class TerraformProvider(TerraformElement):
        """A provider configuration."""

        def __init__(self, scope: Construct, id: str, **config: object) -> None: ...

    class TerraformVariable(TerraformElement):
        """An input variable of the root module."""

        def __init__(self, scope: Construct, id: str, **config: object) -> None: ...

    class TerraformOutput(TerraformElement):
        """An output of the root module."""

        def __init__(self, scope: Construct, id: str, **config: object) -> None: ...

    class TerraformLocal(TerraformElement):
        """A local value of the root module."""

        def __init__(self, scope: Construct, id: str, expression: object) -> None: ...
        @property
        def as_string(self) -> str:
            """The engine's token for it, good in other stacks too."""
            raise NotImplementedError

    class TerraformBackend(TerraformElement):
        """Where the state is kept."""

        def __init__(self, scope: Construct, id: str, name: str) -> None: ...

    class TerraformRemoteState(TerraformElement):
        """Reads the state of another root module."""

        def __init__(self, scope: Construct, id: str, backend: str, **config: object) -> None: ...

else:
    from constructs import Construct

    EngineApp = engine.App
    TerraformBackend = engine.TerraformBackend
    TerraformDataSource = engine.TerraformDataSource
    TerraformElement = engine.TerraformElement
    TerraformLocal = engine.TerraformLocal
    TerraformOutput = engine.TerraformOutput
    TerraformProvider = engine.TerraformProvider
    TerraformRemoteState = engine.TerraformRemoteState
    TerraformResource = engine.TerraformResource
    TerraformStack = engine.TerraformStack
    TerraformVariable = engine.TerraformVariable

__all__ = [
    "Construct",
    "EngineApp",
    "TerraformBackend",
    "TerraformDataSource",
    "TerraformElement",
    "TerraformLocal",
    "TerraformOutput",
    "TerraformProvider",
    "TerraformRemoteState",
    "TerraformResource",
    "TerraformStack",
    "TerraformVariable",
    "engine",
    "jsii_create",
    "member",
]
