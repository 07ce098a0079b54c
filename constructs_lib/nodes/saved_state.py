"""Which of the platform's own state each node saves, told by the very files that it has for that."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath

from constructs_lib.components.platform_backup import PARTS, PLATFORM_BACKUP
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import SitePlan


def saved_state(plan: SitePlan) -> Mapping[str, tuple[str, ...]]:
    """Node → the components whose state it saves; empty where cluster.yaml names no target for them."""
    if plan.platform_backup is None:
        return {}
    nodes = [node for node in plan.nodes if node.role in PLATFORM_BACKUP.roles]
    parts = {
        node.name: tuple(
            path.name
            for path in (PurePosixPath(file.path) for file in render(plan, node).files)
            if str(path.parent) == PARTS
        )
        for node in nodes
    }
    return {node: states for node, states in parts.items() if states}
