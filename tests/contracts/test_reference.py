"""The page and the schema of contracts are what the models say, and the examples and bad contracts agree."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from constructs_lib.contracts import dev, model, ops
from constructs_lib.contracts.json_schema import EXAMPLE, MODULES, json_schema, text
from constructs_lib.contracts.load import parse_contract
from constructs_lib.contracts.reference import SECTIONS, markdown
from constructs_lib.spec.docstrings import descriptions
from constructs_lib.spec.group import Group
from tests.contracts.test_golden import EXAMPLES

DOCS = Path(__file__).parents[2] / "docs"
MODELS = [
    value
    for module in (model, dev, ops)
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, BaseModel) and value is not Group
]


def test_the_committed_page_is_what_the_models_say() -> None:
    assert (DOCS / "contract-reference.md").read_text(encoding="utf-8") == markdown(), (
        "run: python -m constructs_lib.contracts.reference > docs/contract-reference.md"
    )


def test_the_committed_schema_is_what_the_models_say() -> None:
    assert (DOCS / "contract.schema.json").read_text(encoding="utf-8") == text(), (
        "run: clustermesos schema --contract > docs/contract.schema.json"
    )


def test_every_model_has_a_section_and_every_setting_a_docstring() -> None:
    assert {settings for _, settings in SECTIONS} == set(MODELS)
    described = descriptions(MODULES)
    for settings in MODELS:
        for name in settings.model_fields:
            assert described[settings.__name__].get(name), f"{settings.__name__}.{name}"


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_schema_takes_every_example(path: Path) -> None:
    jsonschema.validate(yaml.safe_load(path.read_text(encoding="utf-8")), json_schema())


def test_the_schemas_own_example_is_a_contract() -> None:
    jsonschema.validate(EXAMPLE, json_schema())
    assert parse_contract(json.dumps(EXAMPLE)).name == "shop"


@pytest.mark.parametrize(
    "name",
    ["no-owner", "unknown-setting", "port-zero", "instances-as-text", "secret-is-a-value", "nothing-to-run"],
)
def test_the_schema_refuses_what_one_value_can_show(name: str) -> None:
    bad = yaml.safe_load((Path(__file__).parent / "bad" / f"{name}.yaml").read_text(encoding="utf-8"))
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(bad, json_schema())
