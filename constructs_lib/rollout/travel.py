"""Our programs for nodes and gateways as one text each: nothing of ours is installed there."""

from __future__ import annotations

from importlib import resources

PARTS = ("state", "looking", "boot", "packages", "taking", "running", "reasons", "link_keys", "main")
"""Modules of `on_node`, each after those that it imports; the last is what runs."""
_REGISTER = """\
import sys, types
def part(name, text):
    made = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), made.__dict__)
"""


def on_node() -> bytes:
    """The parts as one program, in which each finds those before it as if they were installed."""
    folder = resources.files("constructs_lib.rollout.on_node")
    texts = [folder.joinpath(f"{part}.py").read_text(encoding="utf-8") for part in PARTS]
    before = [
        f"part({f'constructs_lib.rollout.on_node.{part}'!r}, {text!r})\n"
        for part, text in zip(PARTS[:-1], texts, strict=False)
    ]
    # A `from __future__` has to be first in what is compiled: so the last part is compiled by itself too.
    last = f"exec(compile({texts[-1]!r}, 'on_node', 'exec'))\n"
    return "".join([_REGISTER, *before, last]).encode()


def on_gateway() -> bytes:
    """The program that holds a site's lock."""
    return resources.files("constructs_lib.rollout").joinpath("on_gateway.py").read_bytes()
