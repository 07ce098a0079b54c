"""A group that is written to simulated Marathon, as the apps that it means.

Source: `GroupUpdate` of Marathon 1.10: `apps` and `groups`, where they are given, are all that there is to be
below the group; what is not named goes. `scaleBy` and going back to a `version` are not imitated.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Mapping
from typing import Any

from constructs_lib.simulator.app_shape import App


def group_update(
    id: str, given: Mapping[str, Any], there: Collection[str], dependencies: tuple[str, ...] = ()
) -> dict[str, App | None]:
    """App → what it is to be, None to delete it. What a group depends on, each of its apps does.

    Args:
        id: the group's absolute name.
        given: the group as it was sent.
        there: ids of all apps.
        dependencies: what the groups above depend on.
    """
    own = dependencies + tuple(_absolute(id, name) for name in given.get("dependencies") or ())
    below = id.rstrip("/") + "/"
    inside = [app for app in there if app.startswith(below)]
    found: dict[str, App | None] = {}
    if given.get("apps") is not None:
        found |= {app: None for app in inside if "/" not in app.removeprefix(below)}
        for app in given["apps"]:
            name = _absolute(id, str(app.get("id", "")))
            found[name] = {**app, "id": name, "dependencies": [*(app.get("dependencies") or ()), *own]}
    if given.get("groups") is not None:
        found |= {app: None for app in inside if "/" in app.removeprefix(below)}
        for group in given["groups"]:
            found |= group_update(_absolute(id, str(group.get("id", ""))), group, there, own)
    return found


def _absolute(group: str, name: str) -> str:
    return posixpath.normpath(posixpath.join(group, name))
