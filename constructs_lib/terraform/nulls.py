"""Defaults of null, which the engine can't be told: between Python and Node a null is no value at all.

So they are put into a stack's cdk.tf.json once the engine has written it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import jsii

from constructs_lib.terraform.base import Construct, TerraformStack, engine
from constructs_lib.terraform.naming import StackRecord, place_of

_NULL: WeakKeyDictionary[StackRecord, set[str]] = WeakKeyDictionary()
"""Stack → names of its variables with a default of null."""


def default_is_null(scope: Construct, name: str) -> None:
    """From now on the variable of that name has `"default": null` in the synthesized stack of `scope`."""
    record = place_of(scope).stack
    if record not in _NULL:
        stack: Any = TerraformStack.of(scope)
        stack.synthesizer = _Synthesizer(stack.synthesizer, record)
    _NULL.setdefault(record, set()).add(name)


def with_nulls(record: StackRecord, synthesized: dict[str, Any]) -> dict[str, Any]:
    """`synthesized` with these defaults in place."""
    for name in _NULL.get(record, ()):
        synthesized["variable"][name]["default"] = None
    return synthesized


@jsii.implements(engine.IStackSynthesizer)
class _Synthesizer:
    """Writes the stack as the one before it does, and then the defaults; called by the engine."""

    def __init__(self, engines: Any, record: StackRecord) -> None:
        self._engines, self._record = engines, record

    def synthesize(self, session: Any) -> None:
        """One stack's file, in the folder of the session."""
        self._engines.synthesize(session)
        written = session.manifest.for_stack(self._record.construct).synthesized_stack_path
        file = Path(session.outdir) / written
        document = with_nulls(self._record, json.loads(file.read_text(encoding="utf-8")))
        file.write_text(json.dumps(document, indent=2, ensure_ascii=False), encoding="utf-8")
