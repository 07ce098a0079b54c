"""How a platform's tests plan a cluster, synthesize constructs and read the stack back."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable, Mapping
from typing import Any

from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform import App, TerraformStack, local_backend, synth_json

Json = dict[str, Any]


def with_site(given: Json, **site: Any) -> Json:
    """A copy of `given` with other settings for its site; mappings are merged, None takes one away."""
    changed = copy.deepcopy(given)
    target = next(iter(changed["sites"].values()))
    for key, value in site.items():
        if value is None:
            target.pop(key, None)
        elif isinstance(value, Mapping) and key not in ("agents", "ranges"):
            target[key] = {**target.get(key, {}), **value}
        else:
            target[key] = value
    return changed


def plan_of(given: Json) -> SitePlan:
    return next(iter(plan(from_dict(given)).sites.values()))


def synthesize(build: Callable[[TerraformStack], object]) -> Json:
    """The stack that `build` fills, as cdk.tf.json has it."""
    stack = TerraformStack(App(), "eu")
    local_backend(stack, "eu.tfstate")
    build(stack)
    return synth_json(stack)


def made_once(make: Callable[[SitePlan], Json]) -> Callable[[SitePlan], Json]:
    """`make`, called once for plans of the same content: most tests look at the same few stacks.

    Each caller gets a copy of its own. A test of `make` itself, or one that patches what it uses, calls it.
    """
    made: dict[bytes, str] = {}

    def one(site: SitePlan) -> Json:
        content = pickle.dumps(site)
        if content not in made:
            made[content] = json.dumps(make(site))
        stack: Json = json.loads(made[content])
        return stack

    return one


def resources(stack: Json) -> dict[str, Json]:
    """Address without key → body, with `for_each` read back."""
    return {
        f"{kind}.{name}": _readable(body, stack.get("locals", {}))
        for kind, named in stack.get("resource", {}).items()
        for name, body in named.items()
    }


def only(stack: Json, kind: str, end: str = "") -> Json:
    """The one resource of a type whose name ends so."""
    found = [
        body
        for address, body in resources(stack).items()
        if address.startswith(f"{kind}.") and address.endswith(end)
    ]
    assert len(found) == 1, f"{len(found)} of {kind} …{end}"
    return found[0]


def _readable(body: Json, local_values: Json) -> Json:
    body = {key: value for key, value in body.items() if key != "//"}
    text = body.get("for_each")
    if isinstance(text, str) and text.startswith("${merge("):
        return {**body, "for_each": _Reader(text[len("${merge(") :]).value()}
    if isinstance(text, str) and text.startswith("${local."):
        return {**body, "for_each": _bare(local_values[text[len("${local.") : -1]])}
    return body


def _bare(value: Any) -> Any:
    """A local value in the form that `_Reader` gives: a whole expression without its `${}`."""
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if isinstance(value, str) and value.startswith("${") and value.endswith("}") and value.count("${") == 1:
        return value[2:-1]
    return value


class _Reader:
    """Reads `{"a" = {"b" = "text", "c" = aws_vpc.x.id}}`; expressions stay the text they are."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def value(self) -> Any:
        if self._skips("{"):
            found: Json = {}
            while not self._skips("}"):
                key = self._string()
                assert self._skips("="), self.text[self.at :][:40]
                found[key] = self.value()
                self._skips(",")
            return found
        if self._skips("["):
            items = []
            while not self._skips("]"):
                items.append(self.value())
                self._skips(",")
            return items
        return self._string() if self.text[self.at] == '"' else self._expression()

    def _skips(self, char: str) -> bool:
        while self.text[self.at] == " ":
            self.at += 1
        if self.text[self.at] != char:
            return False
        self.at += 1
        while self.at < len(self.text) and self.text[self.at] == " ":
            self.at += 1
        return True

    def _string(self) -> str:
        start = self.at = self.at + 1
        while self.text[self.at] != '"':
            self.at += 2 if self.text[self.at] == "\\" else 1
        self.at += 1
        return self.text[start : self.at - 1]

    def _expression(self) -> Any:
        start, depth = self.at, 0
        while depth or self.text[self.at] not in ",]} )":
            depth += {"[": 1, "]": -1}.get(self.text[self.at], 0)
            self.at += 1
        text = self.text[start : self.at]
        return int(text) if text.isdigit() else text
