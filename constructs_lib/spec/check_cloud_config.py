"""`cloud_config:`: what users may add to a role's cloud-config without breaking ours."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator

from constructs_lib.components import COMPONENTS
from constructs_lib.spec.findings import Check, Finding, Path, Settings
from constructs_lib.spec.wording import did_you_mean, names_a_secret, show

APPENDED = ("bootcmd", "packages", "runcmd", "write_files")
"""Lists of ours that yours are appended to."""

OURS = {
    "hostname": "the node's name is planned",
    "fqdn": "the node's name is planned",
    "prefer_fqdn_over_hostname": "the node's name is planned",
    "preserve_hostname": "the node's name is planned",
    "manage_etc_hosts": "/etc/hosts is written from the plan",
    "users": "administrators come from admin",
    "user": "administrators come from admin",
    "groups": "administrators come from admin",
    "ssh_authorized_keys": "keys come from admin.ssh_keys",
    "ssh_keys": "host keys are secrets, which never stand in a file",
    "ssh_deletekeys": "host keys are planned",
    "ssh_genkeytypes": "host keys are planned",
    "ssh_pwauth": "nobody logs in by password",
    "disable_root": "nobody logs in as root",
    "password": "nobody logs in by password",
    "chpasswd": "nobody logs in by password",
    "disk_setup": "the data volume is found and formatted by the node itself, only when empty",
    "fs_setup": "the data volume is found and formatted by the node itself, only when empty",
    "mounts": "the data volume is mounted by the node itself",
    "ntp": "time comes from the component base",
    "package_update": "packages of ours are installed at the first boot",
    "merge_how": "merging is fixed",
    "merge_type": "merging is fixed",
    "system_info": "it belongs to the image",
    "power_state": "a reboot would cut the first boot off",
}
"""Top-level keys that would break what the node files do, and why."""

LARGEST = 8192
"""Bytes of JSON per role; AWS takes 16,384 of compressed user data, and ours is in it too."""


def _cloud_config(settings: Settings) -> Iterator[Finding]:
    for role, extra in settings.cluster.cloud_config.items():
        path: Path = ("cloud_config", role.value)
        if not settings.intact(*path):
            continue
        for key, value in extra.items():
            yield from _key((*path, key), key, value)
        unusual = [found for key, value in extra.items() for found in _values((*path, key), value)]
        yield from unusual
        size = 0 if unusual else len(json.dumps(extra, ensure_ascii=False).encode())
        if size > LARGEST:
            yield Finding(
                path, f"got {size} bytes, expected at most {LARGEST}: user data is limited; bake an image"
            )


def _key(path: Path, key: str, value: object) -> Iterator[Finding]:
    if key in OURS:
        yield Finding(path, f"can't be set here: {OURS[key]}")
    elif key in APPENDED:
        if not isinstance(value, list):
            yield Finding(path, f"got {show(value)}, expected a list, which is appended to ours")
        elif key == "write_files":
            yield from _own_paths(path, value)
    elif not re.fullmatch(r"[a-z][a-z0-9_-]{0,60}", key):
        yield Finding(path, "is no cloud-config key: lower-case letters, digits, _ and -")
    elif near := did_you_mean(key, APPENDED):
        yield Finding(path, f"is no cloud-config key, did you mean {near}?")


def _own_paths(path: Path, entries: list[object]) -> Iterator[Finding]:
    """Files that a component writes after these, so that they would be lost without a word."""
    own = {file.to for component in COMPONENTS for file in component.files}
    for index, entry in enumerate(entries):
        target = entry.get("path") if isinstance(entry, dict) else None
        if isinstance(target, str) and (target in own or target.startswith("/var/lib/clustermesos/")):
            yield Finding(
                (*path, index, "path"),
                f"got {show(target)}, expected another path: a component writes that file",
            )


def _values(path: Path, value: object) -> Iterator[Finding]:
    """Values that JSON can't hold, and secrets."""
    if isinstance(value, dict):
        for key, child in value.items():
            yield from _values((*path, key), child)
    elif isinstance(value, list | tuple):
        for index, child in enumerate(value):
            yield from _values((*path, index), child)
    elif isinstance(value, str):
        shown = show(value)
        if shown.endswith("(not shown)"):
            yield Finding(
                path, f"got {shown}, expected no secret: user data is readable on the node and in the API"
            )
        elif "@@late:" in value:
            yield Finding(
                path, "got a text with @@late: in it, expected none: the library's own marks look like it"
            )
    elif isinstance(value, float) and not math.isfinite(value):
        yield Finding(path, f"got {show(value)}, expected a finite number")
    elif value is not None and not isinstance(value, bool | int | float):
        got = "a value" if names_a_secret(path) else show(value)
        yield Finding(path, f"got {got}, expected text, a number, true, false, a list or a group of settings")


CHECKS: tuple[Check, ...] = (_cloud_config,)
