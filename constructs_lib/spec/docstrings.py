"""The model's docstrings as data, for the JSON Schema and the reference; read from the source when asked."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from types import ModuleType

from constructs_lib.spec import model, own_words, state, terms

CLUSTER = (model, own_words, state, terms)
"""Where the models of cluster.yaml are."""


def descriptions(modules: tuple[ModuleType, ...] = CLUSTER) -> Mapping[str, Mapping[str, str]]:
    """Class name → field name → docstring; the class's own stands under the empty name.

    Python keeps no string that follows a field, and pydantic's own way of reading it would slow every import.
    """
    bodies = [ast.parse(inspect.getsource(module)).body for module in modules]
    return {node.name: _of_class(node) for body in bodies for node in body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    found = {"": ast.get_docstring(node) or ""}
    field = None
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            field = statement.target.id
        elif field and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            found[field] = inspect.cleandoc(str(statement.value.value))
            field = None
        else:
            field = None
    return found
