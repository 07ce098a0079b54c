"""`cloud_config:`: what users may add to a role's cloud-config without breaking ours."""

from __future__ import annotations

import json
import math
import posixpath
import re
from collections.abc import Iterator

from constructs_lib.components import COMPONENTS
from constructs_lib.spec.findings import Check, Finding, Path, Settings
from constructs_lib.spec.wording import did_you_mean, names_a_secret, show

APPENDED = ("bootcmd", "packages", "runcmd", "write_files")
"""Lists of ours that yours are appended to."""

_REBOOTS = "a reboot would cut the first boot off"
_UPGRADES = (
    "cloud-init would do it once, and the first boot has failed where a mirror is down then; "
    "unattended-upgrades brings what is new"
)

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
    **dict.fromkeys(("package_update", "apt_update"), "packages of ours are installed at the first boot"),
    **dict.fromkeys(("package_upgrade", "apt_upgrade"), _UPGRADES),
    **dict.fromkeys(("package_reboot_if_required", "apt_reboot_if_required"), _REBOOTS),
    "merge_how": "merging is fixed",
    "merge_type": "merging is fixed",
    "system_info": "it belongs to the image",
    "cloud_init_modules": "the node's own start is one of cloud-init's modules",
    "cloud_config_modules": "the node's own start is one of cloud-init's modules",
    "cloud_final_modules": "the node's own start is one of cloud-init's modules",
    "power_state": _REBOOTS,
}
"""Top-level keys that would break what the node files do, and why."""

_APT = {
    "software.apt_mirror": ("primary",),
    "software.apt_security_mirror": ("security",),
    "software.proxy": ("http_proxy", "https_proxy", "proxy"),
}
"""Setting → keys of cloud-init's `apt` that it becomes, and their other names."""

LARGEST = 8192
"""Bytes of JSON per role; AWS takes 16,384 of compressed user data, and ours is in it too."""


def _cloud_config(settings: Settings) -> Iterator[Finding]:
    for role, extra in settings.cluster.cloud_config.items():
        path: Path = ("cloud_config", role.value)
        if not settings.intact(*path):
            continue
        for key, value in extra.items():
            yield from _key((*path, key), key, value)
        for index, entry in enumerate(_list(extra.get("write_files"))):
            yield from _own_path((*path, "write_files", index, "path"), entry, settings)
        if "apt" in extra:
            yield from _apt((*path, "apt"), extra["apt"], settings)
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
    elif not re.fullmatch(r"[a-z][a-z0-9_-]{0,60}", key):
        yield Finding(path, "is no cloud-config key: lower-case letters, digits, _ and -")
    elif near := did_you_mean(key, APPENDED):
        yield Finding(path, f"is no cloud-config key, did you mean {near}?")


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _own_path(path: Path, entry: object, settings: Settings) -> Iterator[Finding]:
    """A file that a component or the node writes after this one, so that it would be lost without a word."""
    target = entry.get("path") if isinstance(entry, dict) else None
    if not isinstance(target, str):
        return
    plain = "/" + posixpath.normpath(target).lstrip("/")
    if plain in _own(settings) or plain.startswith("/var/lib/clustermesos/"):
        yield Finding(path, f"got {show(target)}, expected another path: a component writes that file")


def _own(settings: Settings) -> set[str]:
    """Files of all components and their secrets, and what the node's program writes besides."""
    found = {"/etc/systemd/system/srv-data.mount"}
    for component in COMPONENTS:
        found |= {file.to for file in component.files} | {secret.to for secret in component.secrets}
        found |= {
            f"/etc/apt/sources.list.d/{component.name}.list",
            f"/etc/apt/keyrings/{component.name}.asc",
        }
    user = settings.cluster.admin.user if settings.intact("admin", "user") else ""
    return {path.replace("{{ plan.admin.user }}", user) for path in found}


def _apt(path: Path, value: object, settings: Settings) -> Iterator[Finding]:
    """What `software:` already sets there and this would replace."""
    software = settings.cluster.software
    ours = {
        "software.apt_mirror": software.apt_mirror,
        "software.apt_security_mirror": software.apt_security_mirror,
        "software.proxy": software.proxy,
    }
    where = [name for name, given in ours.items() if given and settings.intact(*name.split("."))]
    if not isinstance(value, dict):
        if where:
            yield Finding(path, f"got {show(value)}, expected a group of settings, which is merged with ours")
        return
    for name in where:
        for key in _APT[name]:
            if key in value:
                yield Finding((*path, key), f"can't be set here: {name} sets it")


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
