"""pydantic's findings in the words of this project: `got X, expected Y`, with the path as the user wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from constructs_lib.components import component_names
from constructs_lib.spec.checks import Finding
from constructs_lib.spec.document import Path
from constructs_lib.spec.wording import did_you_mean, names_a_secret, one_of, show, unknown

_STATE_KINDS = ("local", "s3", "http", "gcs", "azurerm")

EXAMPLES: Mapping[str, str] = {
    "name": "the cluster's name: `name: demo`",
    "sites": "one site by name: `sites: {eu: {platform: aws, …}}`",
    "platform": "`platform: aws`",
    "network": "the site's private range: `network: 10.20.0.0/16`",
    "region": "such as `region: eu-west-3`",
    "encrypted": "`encrypted: true`, once your server encrypts what it keeps",
    "kind": one_of(_STATE_KINDS),
}
"""What to write for a required setting that is missing."""

_NOT_BUILT_KEYS = {"openstack": "this platform is not built yet", "libvirt": "this platform is not built yet"}

_SHAPES = {
    "model_type": "a group of settings",
    "model_attributes_type": "a group of settings",
    "dict_type": "a group of settings",
    "tuple_type": "a list in brackets: [ … ]",
    "list_type": "a list in brackets: [ … ]",
    "string_type": "text",
}


def findings(error: ValidationError, root: type[BaseModel]) -> Iterator[tuple[Path, Finding]]:
    """Each finding of pydantic: the path of the value to take out, and the finding as the user reads it."""
    for details in error.errors(include_url=False):
        if details["type"] != "together":
            yield _finding(details, root)


def _finding(details: ErrorDetails, root: type[BaseModel]) -> tuple[Path, Finding]:
    is_key = details["loc"][-1:] == ("[key]",)
    path = _without_tags(details["loc"][:-1] if is_key else details["loc"])
    return path, Finding(user_path(path), _message(details, path, root, is_key))


def _without_tags(loc: tuple[int | str, ...]) -> Path:
    """pydantic puts the kind of state it chose into the path."""
    if loc[:1] == ("state",) and len(loc) > 1 and loc[1] in _STATE_KINDS:
        return (loc[0], *loc[2:])
    return loc


def user_path(path: Path) -> Path:
    """The model's path as it stands in the file: components stand directly under software."""
    return ("software", *path[2:]) if path[:2] == ("software", "components") else path


def _message(details: ErrorDetails, path: Path, root: type[BaseModel], is_key: bool) -> str:
    kind, context, value = details["type"], details.get("ctx", {}), details.get("input")
    if kind == "missing":
        return f"missing, expected {EXAMPLES.get(str(path[-1]), 'it')}"
    if kind == "extra_forbidden":
        return _unknown_setting(path, root)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _state_kind(value)
    if is_key and kind in ("enum", "literal_error"):
        return unknown("role", str(path[-1]), str(context.get("expected", "")).replace("'", "").replace(
            " or ", ", ").split(", "))  # fmt: skip
    got = context.get("got") or ("a value (not shown)" if names_a_secret(path) else show(value))
    expected = context.get("expected") or _SHAPES.get(kind) or "another value"
    if kind in _SHAPES and path and (example := EXAMPLES.get(str(path[-1]))):
        expected += f", {example}"
    return f"got {got}, expected {expected}"


def _state_kind(value: object) -> str:
    kind = value.get("kind") if isinstance(value, Mapping) else getattr(value, "kind", None)
    if kind is None:
        return f"kind is missing, expected {one_of(_STATE_KINDS)}"
    near = did_you_mean(str(kind), _STATE_KINDS)
    return f"got kind {show(kind)}, expected {one_of(_STATE_KINDS)}{f'; did you mean {near}?' if near else ''}"


def _unknown_setting(path: Path, root: type[BaseModel]) -> str:
    word = str(path[-1])
    if word in _NOT_BUILT_KEYS and path[:1] == ("sites",):
        return f"unknown setting: {_NOT_BUILT_KEYS[word]}, today: aws"
    return unknown("setting", word, settings_at(path[:-1], root))


def settings_at(path: Path, root: type[BaseModel]) -> list[str]:
    """The names of the settings that may stand at `path`, in the model's order."""
    models: list[Any] = [root]
    for part in path:
        models = [below for model in models for below in _below(model, part)]
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
