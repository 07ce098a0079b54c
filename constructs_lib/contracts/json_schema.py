"""The JSON Schema of contracts, for editors: they complete and check what one value can show."""

from __future__ import annotations

from typing import Any

from constructs_lib.contracts import dev, model, ops
from constructs_lib.spec.docstrings import descriptions
from constructs_lib.spec.json_schema import described_schema, whole
from constructs_lib.spec.json_schema import text as as_text

MODULES = (model, dev, ops)
"""Where the models of a contract are."""
EXAMPLE: dict[str, Any] = {
    "name": "shop",
    "owner": "shop@example.org",
    "dev": {
        "image": "registry.example.org/shop:1.4.2",
        "ports": {"http": 8080},
        "health": {"path": "/healthz"},
    },
    "ops": {"cpus": 0.5, "memory_mib": 512, "instances": 2, "route": {"host": "shop.example.org"}},
}
"""The smallest useful contract."""


def json_schema() -> dict[str, Any]:
    """Draft 2020-12, no unknown settings, every description from the model."""
    schema, definitions = described_schema(model.AppContract, descriptions(MODULES))
    definitions["DevSpec"]["anyOf"] = [{"required": ["image"]}, {"required": ["command"]}]
    return whole("A contract between dev and ops", schema, definitions, EXAMPLE)


def text() -> str:
    """The schema as it stands in docs/contract.schema.json."""
    return as_text(json_schema())
