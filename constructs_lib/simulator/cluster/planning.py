"""The steps of a deployment: what is to change, in the order of dependencies.

Source: `DeploymentPlan.scala` and `RootGroup.scala` of Marathon 1.10: what goes, what is new, then one step
for each length of the longest way to an app that depends on nothing. Dependencies are apps or whole groups;
those that there are not are left out without a word.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from constructs_lib.simulator.app_shape import App, complete, sent
from constructs_lib.simulator.cluster.apps import AppState
from constructs_lib.simulator.cluster.deployments import Action

if TYPE_CHECKING:
    from constructs_lib.simulator.cluster.marathon import Marathon

_KEPT_VERSIONS = 25
"""`--zk_max_versions`, in part: no app keeps more."""
_GOES, _IS_NEW, _FIRST = 0, 1, 2


class CyclicError(Exception):
    """Dependencies that lead back to where they began."""


def depths(there: Mapping[str, App], wanted: Mapping[str, App | None]) -> dict[str, int]:
    """For each app that will depend on something, the length of the longest way down; CyclicError."""
    after = {id: app for id, app in {**there, **wanted}.items() if app is not None}
    below = {id: _below(id, app, after) for id, app in after.items() if app.get("dependencies")}
    found: dict[str, int] = {}
    while len(found) < len(below):
        waiting = set(below) - set(found)
        ready = [id for id in waiting if not below[id] & waiting]
        if not ready:
            raise CyclicError
        found |= {id: max((1 + found.get(one, 0) for one in below[id]), default=0) for id in ready}
    return found


def _below(id: str, app: App, apps: Mapping[str, App]) -> set[str]:
    """The apps that one depends on: relative names begin at its own."""
    names = [posixpath.normpath(posixpath.join(id, str(name))) for name in app["dependencies"]]
    return {one for one in apps for name in names if one == name or one.startswith(f"{name.rstrip('/')}/")}


def steps(
    marathon: Marathon,
    wanted: Mapping[str, App | None],
    version: str,
    order: Mapping[str, int],
    *,
    restart: bool,
    kill: Mapping[str, Sequence[str]],
) -> list[list[Action]]:
    """What a deployment does, in the order that `depths` gave; the apps become what is wanted."""
    found: dict[int, list[Action]] = {}
    for id, given in wanted.items():
        for step, action in _actions(marathon, id, given, version, order.get(id, 0), restart=restart):
            action.kill = tuple(kill.get(id, ()))
            found.setdefault(step, []).append(action)
    return [found[step] for step in sorted(found)]


def _actions(
    marathon: Marathon, id: str, given: App | None, version: str, depth: int, *, restart: bool
) -> list[tuple[int, Action]]:
    known = marathon.apps.get(id)
    if given is None:
        return [(_GOES, Action(kind="StopApplication", app=id))] if known else []
    spec = complete({**sent(given), "id": id})
    if known is None:
        made = AppState(spec=spec, version=version, config_version=version, scaling_version=version)
        marathon.apps[id] = made
        _remember(made)
        return [
            (_IS_NEW, Action(kind="StartApplication", app=id)),
            (_FIRST + depth, Action(kind="ScaleApplication", app=id)),
        ]
    same = {**spec, "instances": 0} == {**known.spec, "instances": 0}
    scaled = spec["instances"] != known.spec["instances"]
    # What a deployment that was given up left behind is mended by the next one, even of the same app.
    if same and not scaled and not restart and known.wanted == spec["instances"]:
        return []
    known.spec, known.version = spec, version
    if scaled:
        known.scaling_version = version
    _remember(known)
    if same and not restart:
        return [(_FIRST + depth, Action(kind="ScaleApplication", app=id))]
    known.config_version = version
    known.reset_delay()
    marathon.queue.pop(id, None)
    return [(_FIRST + depth, Action(kind="RestartApplication", app=id))]


def _remember(app: AppState) -> None:
    app.history[app.version] = app.spec
    for version in sorted(app.history)[:-_KEPT_VERSIONS]:
        del app.history[version]
