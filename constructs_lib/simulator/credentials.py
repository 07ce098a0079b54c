"""Credentials and ACLs of Mesos, read from their JSON as Mesos reads them (JSON only since 1.11)."""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from constructs_lib.simulator.double import Log, RefusedError


def read_credentials(path: str, log: Log) -> dict[str, str]:
    """Principal → secret of a file for `--credentials` or `--http_credentials`.

    Raises:
        RefusedError: the file can't be read, is empty, or is not of that form.
    """
    data = _read(path, "credentials", log)
    listed = data.get("credentials")
    if not isinstance(listed, list) or not listed:
        raise RefusedError(
            f"Failed to parse credentials: '{path}' needs a list \"credentials\" with an entry"
        )
    return dict(_pair(entry, path) for entry in listed)


def read_credential(path: str, log: Log) -> tuple[str, str]:
    """Principal and secret of a file for the agent's `--credential`.

    Raises:
        RefusedError: the file can't be read, is empty, or is not of that form.
    """
    return _pair(_read(path, "credential", log), path)


def _read(path: str, what: str, log: Log) -> dict[str, Any]:
    log(f"Loading {what} for authentication from '{path}'")
    try:
        text = Path(path).read_text(encoding="utf-8")
        others = Path(path).stat().st_mode & 0o007
    except (OSError, UnicodeDecodeError) as error:
        raise RefusedError(
            f"Failed to read {what} file '{path}': {getattr(error, 'strerror', None) or error}"
        ) from None
    if others:
        log(f"Permissions on {what} file '{path}' are too open; others can read it", "W")
    if not text:
        raise RefusedError(f"Empty {what} file '{path}' (see --{what} flag)")
    try:
        data = json.loads(text)
    except ValueError as error:  # its text has the place, not the content
        raise RefusedError(f"Invalid json format of {what} file '{path}': {error}") from None
    if not isinstance(data, dict):
        raise RefusedError(f"Invalid json format of {what} file '{path}': expected an object")
    return data


def _pair(entry: object, path: str) -> tuple[str, str]:
    if not isinstance(entry, dict) or not isinstance(entry.get("principal"), str):
        raise RefusedError(f"Failed to parse credentials: '{path}' has an entry without \"principal\"")
    secret = entry.get("secret", "")
    if not isinstance(secret, str):
        raise RefusedError(f"Failed to parse credentials: '{path}' has a \"secret\" that is no string")
    return entry["principal"], secret


def is_known(credentials: Mapping[str, str], principal: str | None, secret: str | None) -> bool:
    """Whether this principal has this secret."""
    known = credentials.get(principal or "")
    return known is not None and hmac.compare_digest(known.encode(), (secret or "").encode())


_ENTITIES = ("principals", "roles", "users", "paths", "agents", "framework_principals", "machines")
_ACTIONS = frozenset(
    resources.files(__package__).joinpath("acl_actions.txt").read_text(encoding="utf-8").split()
)
"""The fields of `ACLs` in Mesos' acls.proto."""


class Acls:
    """The rules of `--acls`; the double applies those about who may register.

    Raises:
        RefusedError: a value of a wrong type. An action that Mesos does not know is only warned of: Mesos
            ignores it without a word.
    """

    def __init__(self, data: Mapping[str, Any] | None, log: Log) -> None:
        self._rules: dict[str, list[dict[str, Any]]] = {}
        self.permissive = True
        for name, value in (data or {}).items():
            if name == "permissive":
                if not isinstance(value, bool):
                    raise _bad_acl(name, "a boolean", value)
                self.permissive = value
                continue
            if name not in _ACTIONS:
                log(f"--acls: Mesos knows no action '{name}' and ignores it", "W")
                continue
            self._rules[name] = _rules(name, value)

    def allow(self, action: str, principal: str | None, **objects: str) -> bool:
        """Whether `principal` may do `action` to `objects`, such as `roles="*"`: by the first that fits."""
        for rule in self._rules.get(action, []):
            if _names(rule.get("principals", {}), principal or "") and all(
                _names(rule.get(kind, {}), name) for kind, name in objects.items()
            ):
                wanted = [rule.get(kind, {}).get("type") for kind in ("principals", *objects)]
                return "NONE" not in wanted
        return self.permissive


def _rules(name: str, value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise _bad_acl(name, "a JSON array", value)
    for rule in value:
        if not isinstance(rule, dict):
            raise _bad_acl(name, "JSON objects in its array", rule)
        for kind, entity in rule.items():
            if kind in _ENTITIES and not isinstance(entity, dict):
                raise _bad_acl(f"{name}.{kind}", 'an object with "type" or "values"', entity)
            if isinstance(entity, dict):
                _check_entity(f"{name}.{kind}", entity)
    return value


def _check_entity(name: str, entity: Mapping[str, Any]) -> None:
    if entity.get("type", "SOME") not in ("SOME", "ANY", "NONE"):
        raise _bad_acl(f"{name}.type", "SOME, ANY or NONE", entity["type"])
    values = entity.get("values", [])
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _bad_acl(f"{name}.values", "an array of strings", values)


def _names(entity: Mapping[str, Any], name: str) -> bool:
    return entity.get("type") in ("ANY", "NONE") or name in entity.get("values", [])


def _bad_acl(name: str, wanted: str, got: object) -> RefusedError:
    return RefusedError(
        f"Failed to load flag 'acls': '{name}' has to be {wanted}, got {json.dumps(got)[:80]}"
    )
