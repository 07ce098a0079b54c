"""What users import keeps its name, says what it is, and stands in the documentation."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = [
    importlib.import_module(f"constructs_lib.{name}")
    for name in sorted(path.parent.name for path in (ROOT / "constructs_lib").glob("*/__init__.py"))
]
PUBLIC = [module for module in PACKAGES if hasattr(module, "__all__")]
NAMES = [(module, name) for module in PUBLIC for name in module.__all__]


@pytest.mark.parametrize("module", PUBLIC, ids=lambda module: module.__name__)
def test_a_package_lists_its_names_sorted_and_once(module: ModuleType) -> None:
    names = list(module.__all__)
    assert names == sorted(set(names), key=lambda name: (not name.isupper(), not name[0].isupper(), name))


@pytest.mark.parametrize(("module", "name"), NAMES, ids=lambda given: getattr(given, "__name__", given))
def test_a_public_name_exists_and_says_what_it_is(module: ModuleType, name: str) -> None:
    thing = getattr(module, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert (inspect.getdoc(thing) or "").strip()


@pytest.mark.parametrize("platform", ["aws", "openstack"])
def test_every_public_name_of_a_platform_is_in_its_documentation(platform: str) -> None:
    module = importlib.import_module(f"constructs_lib.{platform}")
    told = set(re.findall(r"\w+", (ROOT / "docs" / f"{platform}.md").read_text(encoding="utf-8")))
    assert not set(module.__all__) - told
