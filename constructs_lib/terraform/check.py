"""Checks attributes and nested blocks against provider schemas, the way `terraform validate` does.

A string with a template sequence (`${…}`) and any of the engine's own tokens stands for a value of any type,
since it is known only to Terraform. Where Terraform converts, so does the check: a number or bool where a
string is wanted, "8080" for a number, "true" for a bool; spellings like "+1" for 1 or "1" for true are
refused, though Terraform takes them. None means "not set".

An attribute of a list or set of objects (a security group's `ingress`) is written as a block by people, and
Terraform allows `dynamic` for it, but in JSON each object has to name all its attributes. The schema read off
the binding shows such an attribute as a block, so that this is found only by the older one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from constructs_lib.errors import ResourceError
from constructs_lib.terraform.hcl import is_template
from constructs_lib.terraform.schema import Body, did_you_mean

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_DYNAMIC_KEYS = ("for_each", "iterator", "labels", "content")

Report = Callable[[str], None]


def check(
    where: str, attributes: Mapping[str, Any], bodies: Iterable[tuple[str, Body]], *, managed: bool = False
) -> None:
    """Raises one ResourceError with everything wrong in `attributes`, each line starting with `where`.

    `managed` resources may not set `id`: schemas show it as optional, and the providers refuse it.

    `bodies` are (title, body) of each schema that must accept them; a line names those that don't.
    """
    titles: dict[str, list[str]] = {}
    for title, body in bodies:
        problems: list[str] = []
        if managed and attributes.get("id") is not None and not _required(body, "id"):
            problems.append('attribute "id" is given by the provider, it can be read but not set')
        check_body(attributes, body, "", problems.append)
        for problem in problems:
            titles.setdefault(problem, []).append(title)
    if titles:
        raise ResourceError(
            "\n".join(f"{where}: {problem} ({_schemas(names)})" for problem, names in titles.items())
        )


def check_body(given: Mapping[str, Any], body: Body, path: str, report: Report) -> None:
    """Reports every problem of one body: unknown names, wrong types, missing and computed attributes, block
    counts.
    """
    attributes: Mapping[str, Any] = body.get("attributes", {})
    blocks: Mapping[str, Any] = body.get("blocks", {})
    dynamic = _dynamic(given.get("dynamic"), body, path, report)
    for name, value in given.items():
        if value is None or (name == "dynamic" and name not in attributes):
            continue
        if name in attributes:
            _check_attribute(value, attributes[name], path + name, report)
        elif name in blocks:
            _check_block(value, blocks[name], path + name, report)
        else:
            report(f'unknown attribute "{path}{name}"{did_you_mean(name, [*attributes, *blocks])}')
    for name, attribute in attributes.items():
        if attribute.get("required") and given.get(name) is None:
            report(f'missing attribute "{path}{name}", {describe(attribute)} is required')
    for name, block in blocks.items():
        if name not in dynamic:
            _check_count(given.get(name), block, path + name, report)


def _required(body: Body, name: str) -> bool:
    return bool(body.get("attributes", {}).get(name, {}).get("required"))


def _schemas(titles: Sequence[str]) -> str:
    return f"{' and '.join(titles)} schema{'s' if len(titles) > 1 else ''}"


def _check_attribute(value: Any, attribute: Mapping[str, Any], path: str, report: Report) -> None:
    if attribute.get("computed") and not attribute.get("optional"):
        report(f'attribute "{path}" is computed by the provider, it can be read but not set')
    elif "nested" in attribute:
        _check_nested(value, attribute, path, report)
    elif attribute.get("sensitive"):
        found = f"a sensitive value ({type(value).__name__})"
        hidden = f'"{path}": got {found}, expected {describe(attribute)}'
        check_type(value, attribute["type"], path, lambda problem: report(hidden))
    else:
        check_type(value, attribute["type"], path, report)


def _check_nested(value: Any, attribute: Mapping[str, Any], path: str, report: Report) -> None:
    """An attribute with attributes of its own, as newer providers have instead of blocks."""
    if _unknown(value):
        return
    for item, at in _nested_items(value, attribute["nested"], path, report):
        if not _unknown(item):
            if isinstance(item, Mapping):
                check_body(item, attribute, f"{at}.", report)
            else:
                _wrong(item, "a mapping", at, report)


def _nested_items(value: Any, nesting: str, path: str, report: Report) -> Iterable[tuple[Any, str]]:
    if nesting == "single":
        return [(value, path)]
    if nesting == "map":
        if isinstance(value, Mapping):
            return [(item, f'{path}["{key}"]') for key, item in value.items()]
        _wrong(value, "a mapping of mappings", path, report)
        return []
    if _is_list(value):
        return [(item, f"{path}[{at}]") for at, item in enumerate(value)]
    _wrong(value, "a list of mappings (it is an attribute, not a block)", path, report)
    return []


def _check_block(value: Any, block: Body, path: str, report: Report) -> None:
    if isinstance(value, Mapping):
        check_body(value, block, f"{path}.", report)
    elif _is_list(value):
        for at, item in enumerate(value):
            if isinstance(item, Mapping):
                check_body(item, block, f"{path}[{at}].", report)
            else:
                _wrong(item, "a mapping", f"{path}[{at}]", report)
    else:
        _wrong(
            value,
            "a mapping or a list of mappings; dynamic={…} makes blocks from an expression",
            path,
            report,
        )


def _check_count(value: Any, block: Body, path: str, report: Report) -> None:
    found = 0 if value is None else len(value) if _is_list(value) else 1
    single = block.get("nesting") == "single"
    least = block.get("min_items") or (1 if block.get("required") else 0)
    most = block.get("max_items") or (1 if single else found)
    if found < least or found > most:
        wanted = (
            f"exactly {least}"
            if least == most
            else f"at least {least}"
            if found < least
            else f"at most {most}"
        )
        report(f'block "{path}": got {found}, expected {wanted}')


def _dynamic(dynamic: Any, body: Body, path: str, report: Report) -> set[str]:
    """Checks `dynamic` and returns the blocks that it makes, whose number is unknown at synth."""
    blocks = {**_objects_as_blocks(body), **body.get("blocks", {})}
    if dynamic is None:
        return set()
    if not isinstance(dynamic, Mapping):
        _wrong(dynamic, 'a mapping {"block": {"for_each": …, "content": {…}}}', f"{path}dynamic", report)
        return set()
    for name, value in dynamic.items():
        if name not in blocks:
            report(f'unknown block "{path}dynamic.{name}"{did_you_mean(name, list(blocks))}')
            continue
        for item in value if _is_list(value) else (value,):
            _check_dynamic(item, blocks[name], f"{path}dynamic.{name}", report)
    return set(dynamic)


def _objects_as_blocks(body: Body) -> dict[str, Body]:
    """The attributes for which Terraform takes blocks too, in the shape of blocks."""
    return {
        name: {"attributes": {key: {"type": cty} for key, cty in attribute["type"][1][1].items()}}
        for name, attribute in body.get("attributes", {}).items()
        if _is_objects(attribute.get("type")) and attribute.get("optional")
    }


def _is_objects(cty: Any) -> bool:
    return isinstance(cty, list) and cty[0] in ("list", "set") and cty[1][0] == "object"


def _check_dynamic(item: Any, block: Body, path: str, report: Report) -> None:
    if not isinstance(item, Mapping):
        _wrong(item, 'a mapping {"for_each": …, "content": {…}}', path, report)
        return
    for key in item:
        if key not in _DYNAMIC_KEYS:
            report(f'unknown attribute "{path}.{key}"{did_you_mean(key, list(_DYNAMIC_KEYS))}')
    if item.get("for_each") is None:
        report(f'missing attribute "{path}.for_each", a map, a set or an expression is required')
    if isinstance(item.get("content"), Mapping):
        check_body(item["content"], block, f"{path}.content.", report)
    else:
        _wrong(item.get("content"), "a mapping", f"{path}.content", report)


def check_type(value: Any, cty: Any, path: str, report: Report) -> None:
    """Reports where `value` cannot be converted to the cty type."""
    if value is None or _unknown(value) or cty == "dynamic":
        return
    if isinstance(cty, str):
        if not _PRIMITIVES[cty](value):
            _wrong(value, _NAMES[cty], path, report)
        return
    kind, inner = cty[0], cty[1]
    if kind in ("list", "set"):
        if not _is_list(value):
            _wrong(value, name_of(cty), path, report)
            return
        for at, item in enumerate(value):
            if item is None:
                _wrong(item, name_of(inner), f"{path}[{at}]", report)
            check_type(item, inner, f"{path}[{at}]", report)
    elif not isinstance(value, Mapping):
        _wrong(value, name_of(cty), path, report)
    elif kind == "map":
        for key, item in value.items():
            check_type(item, inner, f'{path}["{key}"]', report)
    else:
        _check_object(value, inner, path, report)


def _check_object(value: Mapping[str, Any], attributes: Mapping[str, Any], path: str, report: Report) -> None:
    for key, item in value.items():
        if key not in attributes:
            report(f'unknown attribute "{path}.{key}"{did_you_mean(key, list(attributes))}')
        else:
            check_type(item, attributes[key], f"{path}.{key}", report)
    missing = [key for key in attributes if value.get(key) is None]
    if missing:
        report(f'"{path}": {", ".join(missing)} must be given too, Expr("null") leaves one unset')


def _is_string(value: Any) -> bool:
    return isinstance(value, str | bool) or _is_finite(value)


def _is_number(value: Any) -> bool:
    return _is_finite(value) or (isinstance(value, str) and bool(_NUMBER.fullmatch(value)))


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool) or value in ("true", "false")


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_PRIMITIVES: Mapping[str, Callable[[Any], bool]] = {
    "string": _is_string,
    "number": _is_number,
    "bool": _is_bool,
}
_NAMES = {"string": "a string", "number": "a number", "bool": "true or false", "dynamic": "any value"}


def name_of(cty: Any) -> str:
    """A cty type in words: "a list of strings"."""
    if isinstance(cty, str):
        return _NAMES[cty]
    plural = {"string": "strings", "number": "numbers", "bool": "booleans"}
    inner = (
        plural.get(cty[1], "values")
        if isinstance(cty[1], str)
        else "lists"
        if cty[1][0] in ("list", "set")
        else "mappings"
    )
    return {"list": f"a list of {inner}", "set": f"a list of {inner}", "map": f"a mapping of {inner}"}.get(
        cty[0], "a mapping"
    )


def describe(attribute: Mapping[str, Any]) -> str:
    """What an attribute takes, in words."""
    return name_of(attribute["type"]) if "type" in attribute else "a nested value"


def _unknown(value: Any) -> bool:
    # The engine's tokens for anything that is not a string are its own objects (IResolvable).
    return is_template(value) or hasattr(type(value), "__jsii_type__")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _wrong(value: Any, expected: str, path: str, report: Report) -> None:
    shown = repr(value)
    if len(shown) > 60:
        shown = f"{shown[:57]}…"
    hint = "; its order is not fixed, use sorted()" if isinstance(value, set | frozenset) else ""
    report(f'"{path}": got {shown} ({type(value).__name__}), expected {expected}{hint}')
