"""The app, the stack's backend, and its synthesized JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath, PurePosixPath, PureWindowsPath
from typing import Any

from constructs_lib.errors import ResourceError
from constructs_lib.terraform.base import (
    Construct,
    EngineApp,
    TerraformBackend,
    TerraformRemoteState,
    TerraformStack,
    engine,
    member,
)
from constructs_lib.terraform.naming import place_of
from constructs_lib.terraform.nulls import with_nulls
from constructs_lib.terraform.plain import plain_mapping

BACKENDS = ("local", "s3", "gcs", "azurerm", "http", "consul", "pg", "kubernetes", "oss", "cos")


class App(EngineApp):
    """The engine's App; warnings in its manifest have no stack traces, which hold paths of the machine."""

    def __init__(self, *, outdir: str | None = None, context: Mapping[str, Any] | None = None) -> None:
        super().__init__(outdir=outdir, context=context, stack_traces=False)


class Backend(TerraformBackend):
    """A backend of any kind, its settings in Terraform's own names; made by `backend()` and
    `local_backend()`.
    """

    def __init__(self, stack: Construct, kind: str, config: Mapping[str, Any]) -> None:
        self._kind = kind
        self._config = plain_mapping(config)
        super().__init__(stack, "backend", kind)

    @member("synthesizeAttributes")
    def _synthesize_attributes(self) -> dict[str, Any]:
        """The settings; asked by the engine."""
        return self._config

    @member("getRemoteStateDataSource")
    def get_remote_state_data_source(self, scope: Construct, name: str, from_stack: str) -> RemoteState:
        """How another stack reads this state; asked by the engine when one refers to the other."""
        return RemoteState(scope, name, self._kind, self._config)


class RemoteState(TerraformRemoteState):
    """Another stack's state, read with the settings of its backend."""

    def __init__(self, scope: Construct, id: str, kind: str, config: Mapping[str, Any]) -> None:
        super().__init__(scope, id, kind, workspace="${terraform.workspace}")
        for key, value in config.items():
            self.add_override(f"config.{key}", value)


def local_backend(stack: Construct, path: str) -> Backend:
    """Keeps the state in a file; `path` is relative to the folder of the stack's cdk.tf.json.

    The engine's own default would be an absolute path of this machine. ResourceError for an absolute
    `path`. Terraform writes states readable for all: the folder should have mode 0700.
    """
    if not path or PurePosixPath(path).is_absolute() or PureWindowsPath(path).is_absolute():
        raise ResourceError(
            f"backend local: path: got {path!r}, expected a path relative to the folder of cdk.tf.json"
        )
    return Backend(stack, "local", {"path": PurePath(path).as_posix()})


def backend(stack: Construct, kind: str, **config: Any) -> Backend:
    """Keeps the state elsewhere: `backend(stack, "s3", bucket="states", key="demo/eu",
    region="eu-west-3")`.
    """
    if kind not in BACKENDS:
        raise ResourceError(f"backend: got the kind {kind!r}, expected one of {', '.join(BACKENDS)}")
    if kind == "local":
        return local_backend(stack, **config)
    return Backend(stack, kind, config)


def synth_json(stack: TerraformStack) -> dict[str, Any]:
    """The stack as cdk.tf.json would have it, validated, without the engine's "//" metadata."""
    synthesized: dict[str, Any] = json.loads(engine.Testing.synth(stack, True))
    return with_nulls(place_of(stack).stack, synthesized)
