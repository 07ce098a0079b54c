"""What is other between two versions of a contract's alert rules, for the diff that a person reads."""

from __future__ import annotations

import json
from collections.abc import Mapping


def differences(before: bytes, after: bytes) -> tuple[str, ...]:
    """A line per alert that is added, removed or changed, in that order; both are JSON lists of groups.

    What can't be read counts as without alerts: it is replaced as a whole.
    """
    old, new = _alerts(before), _alerts(after)
    changed = sorted(name for name in old.keys() & new.keys() if old[name] != new[name])
    return (
        *(f"alert added: {name}" for name in sorted(new.keys() - old.keys())),
        *(f"alert removed: {name}" for name in sorted(old.keys() - new.keys())),
        *(f"alert changed: {name}" for name in changed),
    )


def _alerts(text: bytes) -> Mapping[str, list[str]]:
    """Name → its rules, each as text; one name may have several. Recording rules go by what they record."""
    found: dict[str, list[str]] = {}
    try:
        for group in json.loads(text or b"[]"):
            for rule in group["rules"]:
                name = str(rule.get("alert") or rule["record"])
                found.setdefault(name, []).append(json.dumps(rule, sort_keys=True))
    except (ValueError, TypeError, LookupError, AttributeError):
        return {}
    return found
