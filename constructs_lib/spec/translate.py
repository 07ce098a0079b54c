"""pydantic's findings in this project's words: `got X, expected Y`, with the path as the user wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from constructs_lib.components import component_names
from constructs_lib.components.model import Role
from constructs_lib.spec.findings import Finding, Path
from constructs_lib.spec.wording import did_you_mean, names_a_secret, one_of, show, unknown

_STATE_KINDS = ("local", "s3", "http", "gcs", "azurerm")

EXAMPLES: Mapping[str, str] = {
    "name": "the cluster's name: `name: demo`",
    "sites": "one site by name: `sites: {eu: {platform: aws, …}}`",
    "platform": "`platform: aws`",
    "network": "the site's private range: `network: 10.20.0.0/16`",
    "external_network": "the network of floating addresses: `external_network: public`",
    "libvirt.image": "an image and its checksum: `image: {url: https://…, sha256: …}`",
    "bridge.name": "the bridge that every host has: `name: br0`",
    "hosts": "a host for each zone: `hosts: [qemu+ssh://root@kvm1.example.org/system]`",
    "sha256": "the image's checksum, as `sha256sum` prints it",
    "region": "a region such as `region: eu-west-3`",
    "encrypted": "`encrypted: true`, once your server encrypts what it keeps",
    "kind": one_of(_STATE_KINDS),
    "repository": "a restic repository: `repository: s3:https://s3.example.org/backups`",
    "password": "a reference of app_secrets: `password: backup/password`",
    "pools": "the pools whose agents have it: `pools: [general]`",
}
"""What to write for a required setting that is missing: by its name, or its group's and its name."""

_SHAPES = {
    "model_type": "a group of settings",
    "model_attributes_type": "a group of settings",
    "dict_type": "a group of settings",
    "tuple_type": "a list in brackets: [ … ]",
    "list_type": "a list in brackets: [ … ]",
    "string_type": "text",
}


@dataclass(frozen=True)
class Mistake:
    """A value that pydantic refused: the model's `path` to it, and the finding as the user reads it."""

    path: Path
    meant: Path
    """The path that was probably meant: the near one where a setting is unknown."""
    finding: Finding


def findings(
    error: ValidationError, root: type[BaseModel], examples: Mapping[str, str] = EXAMPLES
) -> Iterator[Mistake]:
    """Each mistake that pydantic found; a missing setting that was only mistyped is told once.

    `examples`: what to write for a required setting that is missing, in the form of EXAMPLES.
    """
    details = [each for each in error.errors(include_url=False) if each["type"] != "together"]
    unknown_settings = [_unknown_setting(each, root) for each in details if each["type"] == "extra_forbidden"]
    yield from unknown_settings
    mistyped = {mistake.meant for mistake in unknown_settings}
    for each in details:
        path = _path(each)
        if each["type"] != "extra_forbidden" and not (each["type"] == "missing" and path in mistyped):
            yield Mistake(path, path, Finding(user_path(path), _message(each, path, examples)))


def _path(details: ErrorDetails) -> Path:
    """The path in the model, without what pydantic adds: [key] for a wrong key, and the kind of state."""
    loc = details["loc"][:-1] if _is_key(details) else details["loc"]
    return (loc[0], *loc[2:]) if _state_kind_of(loc) else loc


def _is_key(details: ErrorDetails) -> bool:
    return details["loc"][-1:] == ("[key]",)


def _state_kind_of(loc: Path) -> str | None:
    is_state = loc[:1] == ("state",) and len(loc) > 1
    return str(loc[1]) if is_state and loc[1] in _STATE_KINDS else None


def user_path(path: Path) -> Path:
    """The model's path as it stands in the file: components stand directly under software."""
    return ("software", *path[2:]) if path[:2] == ("software", "components") and len(path) > 2 else path


def _message(details: ErrorDetails, path: Path, examples: Mapping[str, str]) -> str:
    kind, context, value = details["type"], details.get("ctx", {}), details.get("input")
    if kind == "missing":
        named = (examples.get(".".join(map(str, path[-length:]))) for length in (2, 1))
        return f"missing, expected {next(filter(None, named), f'`{path[-1]}: …`')}"
    if kind == "words":
        return str(context["words"])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _state_kind(value)
    if _is_key(details) and kind == "enum":
        return unknown("role", str(path[-1]), list(Role))
    got = context.get("got") or ("a value (not shown)" if names_a_secret(path) else show(value))
    expected = context.get("expected") or _SHAPES.get(kind) or "another value"
    if kind in _SHAPES and value is None:
        expected += ", or leave the key out"
    return f"got {got}, expected {expected}"


def _state_kind(value: object) -> str:
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    if kind is None:
        return f"kind is missing, expected {one_of(_STATE_KINDS)}"
    near = did_you_mean(str(kind), _STATE_KINDS)
    return (
        f"got kind {show(kind)}, expected {one_of(_STATE_KINDS)}{f'; did you mean {near}?' if near else ''}"
    )


def _unknown_setting(details: ErrorDetails, root: type[BaseModel]) -> Mistake:
    path = _path(details)
    word = str(path[-1])
    known = settings_at(path[:-1], root, _state_kind_of(details["loc"]))
    near = did_you_mean(word, known)
    message = unknown("setting", word, known)
    if not near and names_a_secret(path[-1:]):
        message = (
            "unknown setting: a secret never stands in this file, which is committed; use the environment"
        )
    return Mistake(path, (*path[:-1], near) if near else path, Finding(user_path(path), message))


def settings_at(path: Path, root: type[BaseModel], state_kind: str | None = None) -> list[str]:
    """The settings that may stand at `path`, in the model's order; for state, those of one kind."""
    models: list[Any] = [root]
    for part in path:
        models = [below for model in models for below in _below(model, part)]
    if state_kind:
        models = [model for model in models if state_kind in get_args(model.model_fields["kind"].annotation)]
    names = dict.fromkeys(name for model in models for name in model.model_fields)
    if path == ("software",):
        names = {name: None for name in names if name != "components"} | dict.fromkeys(component_names())
    return list(names)


def _below(model: type[BaseModel], part: str | int) -> list[type[BaseModel]]:
    """The models that a field's type leads to; a dict's key and a list's index lead back to the same ones."""
    field = model.model_fields.get(str(part))
    return [model] if field is None else list(_models_in(field.annotation))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
