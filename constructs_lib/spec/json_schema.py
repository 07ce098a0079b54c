"""The JSON Schema of cluster.yaml, for editors: they complete and check what one value can show."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from constructs_lib.components import component_names
from constructs_lib.spec.check_cloud_config import APPENDED, OURS
from constructs_lib.spec.docstrings import descriptions
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.platforms import PLATFORMS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
EXAMPLE: dict[str, Any] = {
    "name": "demo",
    "sites": {
        "eu": {
            "platform": "aws",
            "aws": {"region": "eu-west-3"},
            "network": "10.20.0.0/16",
            "zones": 3,
            "agents": {"general": {"count": 3, "cpus": 4, "memory_gib": 16}},
        }
    },
    "admin": {
        "networks": ["203.0.113.0/24"],
        "ssh_keys": [
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX ops@example.org"
        ],
    },
}
"""The smallest useful cluster.yaml."""


def json_schema() -> dict[str, Any]:
    """Draft 2020-12, no unknown settings, every description from the model, components by name."""
    schema, definitions = described_schema(ClusterSpec, descriptions())
    _components_beside_settings(definitions["SoftwareSpec"])
    _demand_what_checks_demand(schema, definitions)
    return whole("cluster.yaml", schema, definitions, EXAMPLE)


def described_schema(
    model: type[BaseModel], described: Mapping[str, Mapping[str, str]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of a file's model and its definitions, each with its docstring."""
    schema = model.model_json_schema(mode="validation")
    definitions: dict[str, Any] = schema.pop("$defs")
    for name, definition in definitions.items():
        _describe(definition, described.get(name, {}))
    _describe(schema, described[model.__name__])
    return schema, definitions


def whole(
    title: str, schema: dict[str, Any], definitions: dict[str, Any], example: dict[str, Any]
) -> dict[str, Any]:
    """The schema of one kind of file, in a fixed order."""
    return {
        "$schema": DIALECT,
        "title": title,
        **_tidy(schema),
        "examples": [example],
        "$defs": {name: _tidy(definitions[name]) for name in sorted(definitions)},
    }


def text(schema: dict[str, Any] | None = None) -> str:
    """The schema, cluster.yaml's where none is given, as it stands in docs/."""
    return json.dumps(schema or json_schema(), indent=2, ensure_ascii=False) + "\n"


def _describe(definition: dict[str, Any], described: Any) -> None:
    definition["description"] = described.get("", definition.get("description", ""))
    if not definition["description"]:
        del definition["description"]
    for name, setting in definition.get("properties", {}).items():
        if name in described:
            setting["description"] = described[name]


def _components_beside_settings(software: dict[str, Any]) -> None:
    """In the file, components stand directly under software."""
    properties = software["properties"]
    del properties["components"]
    for name in component_names():
        properties[name] = {"$ref": "#/$defs/ComponentSoftware"}


def _demand_what_checks_demand(schema: dict[str, Any], definitions: dict[str, Any]) -> None:
    """The few rules between settings that JSON Schema can say as well."""
    schema["required"] = [*schema["required"], "admin"]
    schema["properties"]["sites"].update(minProperties=1)
    definitions["SiteSpec"]["oneOf"] = [{"required": [name]} for name in PLATFORMS]
    definitions["AdminSpec"]["required"] = ["networks", "ssh_keys"]
    for name in ("networks", "ssh_keys"):
        definitions["AdminSpec"]["properties"][name]["minItems"] = 1
    definitions["PoolSpec"]["oneOf"] = [
        {"required": ["count"], "not": {"anyOf": [{"required": ["min"]}, {"required": ["max"]}]}},
        {"required": ["min", "max"], "not": {"required": ["count"]}},
    ]
    schema["properties"]["cloud_config"]["additionalProperties"] = _role_settings()
    definitions["EdgeSpec"]["dependentRequired"] = {"allow": ["public"]}


def _role_settings() -> dict[str, Any]:
    """cloud-config of a role: ours can't be set, lists are appended, the rest is cloud-init's own affair."""
    return {
        "type": "object",
        "properties": {
            **{key: {"not": {}, "description": why} for key, why in OURS.items()},
            **{key: {"type": "array"} for key in APPENDED},
        },
    }


def _tidy(value: Any) -> Any:
    """No titles of pydantic's (each repeats its setting's name) or OpenAPI's words, closed to other keys."""
    if isinstance(value, list):
        return [_tidy(child) for child in value]
    if not isinstance(value, dict):
        return value
    tidied = {
        key: _tidy(child)
        for key, child in value.items()
        if key != "discriminator" and not (key == "title" and isinstance(child, str))
    }
    if "patternProperties" in tidied:
        tidied["additionalProperties"] = False
    return tidied
