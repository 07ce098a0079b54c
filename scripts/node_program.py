"""Builds cloud-init/base/clustermesos-apply, which travels, from cloud-init/base/program/, which is read.

On AWS a node's whole user data is 16,384 bytes compressed, and the program was the half of it. Joined to one
file, without annotations and with short names it is a quarter smaller than as modules. Two names are one
letter wherever no scope has both, and a name is the same letter everywhere: gzip likes that.

Other scripts in Python are read where they lie. Their short forms are in cloud-init/short, each named by what
it was made from: no changed script gets an old one. Their names are dealt as the program's, but for scripts
with a class, which only have short local names: who else knows an attribute, a script alone can't tell.
An empty one says that the script is short as it is.

`python -m scripts.node_program` writes all; tests/nodes/test_program.py fails until it was run.
"""

from __future__ import annotations

import ast
import builtins
import io
import json
import os
import pathlib
import re
import socket
import string
import subprocess
import urllib.request
from collections import Counter
from collections.abc import Iterator
from itertools import product

import python_minifier

from constructs_lib.nodes.bare_python import PYTHON, short_name

FOLDER = pathlib.Path(__file__).parents[1] / "cloud-init" / "base"
SOURCES = ("node", "units", "disk", "policy", "packages", "volume", "health", "generations", "apply")
"""Modules in the order in which their names are needed."""
BUILT = FOLDER / "clustermesos-apply"
SHORT = FOLDER.parent / "short"
NOT_THERE = ("__future__", "typing", "collections.abc")
"""Modules that annotations alone need."""
FOREIGN = (
    *(
        pathlib.Path,
        subprocess,
        subprocess.CompletedProcess,
        socket,
        socket.socket,
        str,
        bytes,
        dict,
        list,
        set,
    ),
    *(os, re, json, io.BufferedWriter, OSError, urllib.request, urllib.request.OpenerDirector(), builtins),
)
"""What the program uses of others: names of theirs can't be changed."""
Name = tuple[str, str]
"""`attribute` for a name behind a dot, else `variable`; and the name."""
MODULE, ATTRIBUTE = 0, 1
"""Scopes: the program's own names, and all attributes; every function and method is one more."""
KEYWORDS = {"if", "in", "is", "as", "or"}


def built() -> dict[pathlib.Path, str]:
    """Each file's text."""
    files = sorted(path for path in FOLDER.parent.rglob("*") if path.is_file() and path != BUILT)
    texts = [path.read_text(encoding="utf-8") for path in files if path.parent != SHORT]
    scripts = [text for text in texts if text.startswith(PYTHON)]
    program = _script(_bare(ast.unparse(_renamed(_marked(ast.parse(_bare(_joined())))))))
    # Empty: it is as short as can be, and to look for comments in it would take a tenth of a synth.
    return {BUILT: program, SHORT / short_name(program): ""} | {
        SHORT / short_name(text): _script(_shortened(text)) for text in scripts
    }


def _script(text: str) -> str:
    # A tab would be quoted in YAML.
    return "#!/usr/bin/python3\n" + re.sub(r"(?m)^\t+", lambda tabs: " " * len(tabs[0]), text) + "\n"


def _shortened(source: str) -> str:
    tree = ast.parse(_bare(source))
    if any(isinstance(node, ast.ClassDef) for node in ast.walk(tree)):
        return _bare(source, rename_locals=True)
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    tree.body = [statement for statement in tree.body if not _for_annotations(statement, used)]
    return _bare(ast.unparse(_renamed(_marked(tree))))


def _for_annotations(statement: ast.stmt, used: set[str]) -> bool:
    if not (isinstance(statement, ast.ImportFrom) and statement.module in NOT_THERE):
        return False
    return used.isdisjoint(alias.asname or alias.name for alias in statement.names)


def _bare(source: str, *, rename_locals: bool = False) -> str:
    return python_minifier.minify(
        source,
        remove_literal_statements=True,
        remove_annotations=python_minifier.RemoveAnnotationsOptions(True, True, True, True),
        rename_locals=rename_locals,
        hoist_literals=False,
        preserve_shebang=False,
    )


def _joined() -> str:
    imports: set[str] = set()
    statements: list[str] = []
    for name in SOURCES:
        source = (FOLDER / "program" / f"clustermesos_{name}.py").read_text(encoding="utf-8")
        for statement in ast.parse(source).body:
            if isinstance(statement, ast.Import | ast.ImportFrom):
                imports |= _needed(statement)
            elif not (isinstance(statement, ast.If) and ast.unparse(statement.test) == "TYPE_CHECKING"):
                statements.append(ast.unparse(statement))
    return "\n".join([*sorted(imports), *statements])


def _needed(statement: ast.Import | ast.ImportFrom) -> set[str]:
    if isinstance(statement, ast.ImportFrom):
        module = statement.module or ""
        return (
            set() if module in NOT_THERE or module.startswith("clustermesos_") else {ast.unparse(statement)}
        )
    return {ast.unparse(ast.Import([alias])) for alias in statement.names}


def _renamed(tree: ast.Module) -> ast.Module:
    """`tree` with a short name for every one that it defines itself, the most used ones first.

    Two names share a letter when no scope has both.
    """
    scopes: dict[Name, Counter[int]] = {}
    for name, scope in _uses(tree, MODULE):
        scopes.setdefault(name, Counter())[scope] += 1
    ours = sorted(_ours(tree), key=lambda name: (-scopes[name].total(), name))
    taken: dict[int, set[str]] = {}
    for name, uses in scopes.items():
        for scope in uses:
            taken.setdefault(scope, set()).update(set() if name in ours else {name[1]})
    names: dict[Name, str] = {}
    for name in ours:
        names[name] = next(new for new in _short() if not any(new in taken[scope] for scope in scopes[name]))
        for scope in scopes[name]:
            taken[scope].add(names[name])
    for node in ast.walk(tree):
        found = _name(node)
        if found and found in names:
            field = next(field for field in ("id", "attr", "arg", "name") if hasattr(node, field))
            setattr(node, field, names[found])
    return tree


def _short() -> Iterator[str]:
    letters = string.ascii_lowercase + string.ascii_uppercase
    pairs = (first + second for second, first in product(["", *letters], letters))
    yield from (name for name in pairs if name not in KEYWORDS)


def _ours(tree: ast.Module) -> set[Name]:
    """Names that the program defines and nobody else has to know."""
    taken = {*_imported(tree), *dir(builtins), *_foreign_keywords(tree)}
    variables = {("variable", name) for name in taken}
    foreign = {name for thing in FOREIGN for name in dir(thing)}
    attributes = {("attribute", name) for name in {*foreign, "__init__"}}
    return set(_defined(tree)) - variables - attributes


def _imported(tree: ast.Module) -> set[str]:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {(alias.asname or alias.name).split(".")[0] for node in imports for alias in node.names}


def _foreign_keywords(tree: ast.Module) -> Iterator[str]:
    """Keywords in calls of what the program does not define itself."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    modules = _imported(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", None) or getattr(node.func, "attr", None)
            module = getattr(getattr(node.func, "value", None), "id", None)
            foreign = called not in own or module in modules
            yield from (word.arg for word in node.keywords if word.arg and foreign)


def _defined(tree: ast.Module) -> Iterator[Name]:
    defining = ast.FunctionDef | ast.ClassDef | ast.ExceptHandler | ast.arg
    for node in ast.walk(tree):
        name = _name(node)
        if name and (isinstance(node, defining) or isinstance(getattr(node, "ctx", None), ast.Store)):
            yield name


def _name(node: ast.AST) -> Name | None:
    """What `node` calls something by; a method counts as an attribute (`_marked`)."""
    if isinstance(node, ast.Attribute):
        return ("attribute", node.attr)
    if isinstance(node, ast.FunctionDef):
        return ("attribute" if hasattr(node, "is_method") else "variable", node.name)
    field = {
        ast.Name: "id",
        ast.arg: "arg",
        ast.keyword: "arg",
        ast.ClassDef: "name",
        ast.ExceptHandler: "name",
    }
    name = getattr(node, field.get(type(node), ""), None)
    return ("variable", name) if name else None


def _uses(node: ast.AST, scope: int) -> Iterator[tuple[Name, int]]:
    """Each name and a scope that it stands in; a function inside a function is of that one's scope."""
    for child in ast.iter_child_nodes(node):
        inner, own = scope, scope
        if isinstance(child, ast.FunctionDef):
            own = ATTRIBUTE if isinstance(node, ast.ClassDef) else scope
            inner = child.lineno + 1 if scope == MODULE else scope
        name = _name(child)
        if name:
            yield name, ATTRIBUTE if name[0] == "attribute" else own
        yield from _uses(child, inner)


def _marked(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for method in node.body:
                method.is_method = True  # type: ignore[attr-defined]
    return tree


def write() -> None:
    """Write what is built, and remove what is not any more."""
    texts = built()
    SHORT.mkdir(exist_ok=True)
    for old in set(SHORT.iterdir()) - set(texts):
        old.unlink()
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
        print(f"wrote {path.relative_to(FOLDER.parents[1])}: {len(text):,} bytes")


if __name__ == "__main__":
    write()
