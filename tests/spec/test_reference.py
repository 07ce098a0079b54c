from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from constructs_lib.spec import model
from constructs_lib.spec.docstrings import descriptions
from constructs_lib.spec.group import Group
from constructs_lib.spec.reference import SECTIONS, markdown

PAGE = Path(__file__).parents[2] / "docs" / "cluster-yaml.md"
MODELS = [
    value
    for value in vars(model).values()
    if isinstance(value, type) and issubclass(value, BaseModel) and value is not Group
]


def test_the_committed_page_is_what_the_model_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == markdown(), (
        "run: python -m constructs_lib.spec.reference > docs/cluster-yaml.md"
    )


def test_every_model_has_a_section() -> None:
    assert {settings for _, settings in SECTIONS} == set(MODELS)


def test_every_setting_has_a_docstring() -> None:
    described = descriptions()
    for settings in MODELS:
        for name in settings.model_fields:
            assert described[settings.__name__].get(name), f"{settings.__name__}.{name}"
