"""What would change on a node: the wanted generation beside what the node has. Pure."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from constructs_lib.components import COMPONENTS
from constructs_lib.rollout.remote import Seen
from constructs_lib.rollout.wanted import Generation

Action = Literal["add", "change", "remove", "restore", "finish"]
SETTINGS = {
    "proxy": "proxy of package downloads",
    "volume": "data volume",
    "secret_command": "command that gets secrets",
    "boot_units": "units that run at each boot",
    "format": "format of the manifest",
}
"""Parts of a manifest that are one value."""
_ENDED_BY_UNITS = {unit: words for component in COMPONENTS for unit, words in component.restart_ends}
_ENDED_BY_PACKAGES = {
    name: words
    for component in COMPONENTS
    for _, words in component.restart_ends
    for name in (*getattr(component.software, "names", ()), *component.apt_names)
}
UNIT_FOLDER = "/etc/systemd/system/"


@dataclass(frozen=True, kw_only=True)
class Change:
    """One thing that becomes another; `detail` never holds a secret's value."""

    kind: str
    """file, secret, package, user, directory, unit, setting or apply."""
    action: Action
    name: str
    detail: str = ""
    restarts: str | None = None
    reloads: str | None = None
    ends: str = ""
    """What a restart ends besides the unit itself, such as `all containers on this node`."""
    diff: str = ""
    """Of files: unified, with the node's text first."""


def changes(generation: Generation, seen: Seen) -> tuple[Change, ...]:
    """Everything that applying `generation` would change; empty for a node that is up to date."""
    old: Mapping[str, Any] = seen.manifest or {}
    found = [
        *_unfinished(seen),
        *_files(generation, seen),
        *_secrets(generation, seen),
        *_packages(generation.manifest_data, old),
        *_named("user", generation.manifest_data, old, "users", "name"),
        *_named("directory", generation.manifest_data, old, "directories", "path"),
        *_units(generation.manifest_data, old),
        *_settings(generation.manifest_data, old),
    ]
    if not found and generation.manifest_data != old:
        found.append(Change(kind="setting", action="change", name="order or health checks of components"))
    return tuple(replace(change, ends=_ends(change)) for change in found)


def changes_back(seen: Seen) -> tuple[Change, ...]:
    """Everything that a rollback of the node would change; empty where it has nothing to go back to."""
    if seen.back is None:
        return ()
    texts: Mapping[str, tuple[str, str]] = seen.back["texts"]
    former = Generation(
        manifest=json.dumps(seen.back["manifest"]), files={path: then for path, (_, then) in texts.items()}
    )
    here = replace(
        seen,
        wanted=seen.applied,
        pending={},
        result=None,
        differs={path: now for path, (now, _) in texts.items()},
        edited=(),
        secrets={},
    )
    return changes(former, here)


def _ends(change: Change) -> str:
    """What goes down besides: a changed package restarts its component's units as well."""
    if change.kind == "package":
        return _ENDED_BY_PACKAGES.get(change.name, "") if change.action != "remove" else ""
    stopped = change.name if (change.kind, change.action) == ("unit", "remove") else None
    left = change.detail.split(": ")[-1].split(", ") if change.kind == "apply" else ()
    units = (change.restarts, stopped, *left)
    return next((_ENDED_BY_UNITS[unit] for unit in units if unit in _ENDED_BY_UNITS), "")


def _unfinished(seen: Seen) -> Iterator[Change]:
    if seen.wanted is not None and seen.wanted != seen.applied:
        detail = (
            f"generation {seen.wanted} was begun and never became healthy; the last that did: {seen.applied}"
        )
        yield Change(kind="apply", action="finish", name=f"generation {seen.wanted}", detail=detail)
    if (seen.result or {}).get("state") == "unconfirmed":
        detail = "applied, and no operator got in since: it goes back by itself unless this is run again"
        yield Change(kind="apply", action="finish", name="confirmation", detail=detail)
    left = sorted({unit for units in seen.pending.values() for unit in units})
    if left:
        yield Change(kind="apply", action="finish", name="restarts", detail=f"still to do: {', '.join(left)}")


def _files(generation: Generation, seen: Seen) -> Iterator[Change]:
    entries = {entry["path"]: entry for entry in generation.manifest_data["files"]}
    old = {entry["path"]: entry for entry in (seen.manifest or {}).get("files", ())}
    for path, entry in entries.items():
        effects = {key: entry.get(key) for key in ("restarts", "reloads")}
        if path not in old:
            diff = _diff(path, "", generation.files[path])
            yield Change(kind="file", action="add", name=path, diff=diff, **effects)
        elif path in seen.differs:
            diff = _diff(path, seen.differs[path], generation.files[path])
            if _only_live(entry, seen.differs[path], generation.files[path]):
                effects = {"restarts": None, "reloads": entry["restarts"]}
            yield Change(kind="file", action="change", name=path, diff=diff, **effects)
        elif path in seen.edited:
            detail = "changed or deleted by hand on the node"
            yield Change(kind="file", action="restore", name=path, detail=detail, **effects)
        elif what := _meta(old[path], entry):
            yield Change(kind="file", action="change", name=path, detail=what)
    for path, entry in old.items():
        if path not in entries:
            stops = path.startswith(UNIT_FOLDER) and "/" not in path.removeprefix(UNIT_FOLDER)
            yield Change(
                kind="file",
                action="remove",
                name=path,
                detail="stopped and disabled" if stops else "",
                diff=_diff(path, seen.differs.get(path, ""), ""),
                restarts=None if stops else entry.get("restarts"),
                reloads=None if stops else entry.get("reloads"),
            )


def _only_live(entry: Mapping[str, Any], before: str, after: str) -> bool:
    """Whether a reload will do, as the node's own program decides it."""
    if "live" not in entry:
        return False
    try:
        old, new = json.loads(before), json.loads(after)
    except ValueError:
        return False
    changed = [key for key in {*old, *new} if old.get(key) != new.get(key)]
    return all(key in entry["live"] and key in new for key in changed)


def _meta(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    usual = {"mode": "644", "owner": "root"}
    return "; ".join(
        f"{key} {old.get(key, usual.get(key, 'none'))} → {new.get(key, usual.get(key, 'none'))}"
        for key in ("mode", "owner", "restarts", "reloads", "first")
        if old.get(key) != new.get(key)
    )


def _secrets(generation: Generation, seen: Seen) -> Iterator[Change]:
    entries = _by_file(generation.manifest_data)
    old = _by_file(seen.manifest or {})
    gone = {name: entry for (name, path), entry in old.items() if (name, path) not in entries}
    words = {"other": "another value", "missing": "its file is missing"}
    for (name, path), entry in entries.items():
        effects: dict[str, Any] = {key: entry.get(key) for key in ("restarts", "reloads")}
        state = seen.secrets.get(name)
        before = old.get((name, path)) or gone.pop(name, None)
        # A secret is looked at in one of its files; another value is another one in all of them.
        looked = state == "other" or path == generation.secrets[name]
        if before is None:
            yield Change(kind="secret", action="add", name=name, **effects)
        elif state in words and looked:
            yield Change(kind="secret", action="change", name=name, detail=words[state], **effects)
        elif before != entry:
            what = _meta(before | {"first": before["path"]}, entry | {"first": entry["path"]})
            yield Change(kind="secret", action="change", name=name, detail=what.replace("first ", "path "))
    for name in gone:
        yield Change(kind="secret", action="remove", name=name)


def _by_file(manifest: Mapping[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    """(name, path) → entry: one secret may have a file for each of its readers."""
    return {(entry["name"], entry["path"]): entry for entry in manifest.get("secrets", ())}


def _packages(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Change]:
    before, after = _package_versions(old), _package_versions(new)
    for name, version in after.items():
        if name not in before:
            yield Change(kind="package", action="add", name=name, detail=version)
        elif before[name] != version:
            yield Change(kind="package", action="change", name=name, detail=f"{before[name]} → {version}")
    for name in before:
        if name not in after:
            # What a package's removal takes along nobody has looked at.
            yield Change(
                kind="package", action="remove", name=name, detail="stays installed, is not held any more"
            )
    # Ends nothing, as another version would.
    for name in sorted(_held(new) - _held(old)):
        if before.get(name) == after[name]:
            yield Change(kind="setting", action="add", name=f"hold of {name}", detail="no upgrade changes it")


def _held(manifest: Mapping[str, Any]) -> set[str]:
    return {name for one in manifest.get("packages", ()) if one.get("hold") for name in one["names"]}


def _package_versions(manifest: Mapping[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    for packages in manifest.get("packages", ()):
        repository = packages.get("repository")
        source = f" of {repository['uri']}" if repository else ""
        for name in packages["names"]:
            found[name] = packages.get("version", "the distribution's") + source
    return found


def _named(kind: str, new: Mapping[str, Any], old: Mapping[str, Any], key: str, by: str) -> Iterator[Change]:
    before = {entry[by]: entry for entry in old.get(key, ())}
    after = {entry[by]: entry for entry in new[key]}
    for name, entry in after.items():
        if name not in before:
            yield Change(kind=kind, action="add", name=name)
        elif before[name] != entry:
            detail = "; ".join(
                f"{k} {before[name].get(k)} → {v}" for k, v in entry.items() if before[name].get(k) != v
            )
            yield Change(kind=kind, action="change", name=name, detail=detail)
    for name in before:
        if name not in after:
            yield Change(kind=kind, action="remove", name=name, detail="stays; nothing needs it any more")


def _units(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Change]:
    before = [unit for stage in old.get("stages", ()) for unit in stage["units"]]
    after = [unit for stage in new["stages"] for unit in stage["units"]]
    for unit in after:
        if unit not in before:
            yield Change(kind="unit", action="add", name=unit, detail="enabled and started")
    for unit in before:
        if unit not in after:
            yield Change(kind="unit", action="remove", name=unit, detail="stopped and disabled")


def _settings(new: Mapping[str, Any], old: Mapping[str, Any]) -> Iterator[Change]:
    for key, name in SETTINGS.items():
        if old and old.get(key) != new.get(key):
            yield Change(
                kind="setting", action="change", name=name, detail=f"{old.get(key)} → {new.get(key)}"
            )


def _diff(path: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(
        old.splitlines(), new.splitlines(), f"{path} (on the node)", f"{path} (wanted)", lineterm=""
    )
    return "\n".join(lines)
