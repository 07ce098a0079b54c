"""What travels beside user data, where a platform has another way: the nodes' program and long scripts.

Secrets have a way of their own to a node on each platform, which also takes what is too long for user data
and says nothing of a node. All nodes of a site get the same text, a bundle: a line `#:PATH` before each file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import Component, File
from constructs_lib.components.platform_backup import PARTS
from constructs_lib.errors import RenderError
from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.templates import render_template
from constructs_lib.plan.model import SitePlan

MARK = "#:"
"""Begins the line before each file of a bundle; its path follows."""


def carried(plan: SitePlan) -> dict[str, str]:
    """Path on the node → text as it travels, of all files that the site's nodes have in common, maybe not all
    on each. RenderError where a component declares one that can't be bundled.
    """
    return {
        file.to: _text(component, file)
        for component in COMPONENTS
        if plan.has(component)
        for file in (*component.files, *_backup(plan, component))
        if file.carried
    }


def bundle(files: Mapping[str, str]) -> str:
    """`files` as one text."""
    return "".join(f"{MARK}{path}\n{text}" for path, text in files.items())


@lru_cache(maxsize=16)
def digest(text: str) -> str:
    """SHA-256 of a text as a node computes it, in hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def part_of_backups(component: Component) -> File | None:
    """The component's script of the platform's backups, if it has state to save."""
    if component.backup is None:
        return None
    to = f"{PARTS}/{component.name}"
    return File(component.backup.template, to=to, mode=0o755, on=component.backup.on, carried=True)


def _backup(plan: SitePlan, component: Component) -> tuple[File, ...]:
    part = part_of_backups(component)
    return (part,) if part and plan.platform_backup else ()


def _text(component: Component, file: File) -> str:
    return _common_text(f"{component.name}/{file.template}", file.to)


@lru_cache(maxsize=64)
def _common_text(template: str, to: str) -> str:
    if template.endswith(".j2") or "{{" in to:
        raise RenderError(f"cloud-init/{template}: it is rendered for each node, so it can't be carried")
    text = shipped(to, render_template(template, {}))
    if not text.endswith("\n") or any(line.startswith(MARK) for line in text.splitlines()):
        raise RenderError(f"cloud-init/{template}: carried, it needs a last line end and no line with {MARK}")
    return text
