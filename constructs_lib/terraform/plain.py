"""Python values in the shape that goes into cdk.tf.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def plain_mapping(given: Mapping[str, Any]) -> dict[str, Any]:
    """A deep copy of dicts, lists and scalars, without the keys whose value is None, so that later changes
    don't matter.
    """
    return {str(key): plain(value) for key, value in given.items() if value is not None}


def plain(value: Any) -> Any:
    """One value, as `plain_mapping` does; the engine's own objects are left as they are."""
    if hasattr(type(value), "__jsii_type__"):
        return value
    if isinstance(value, str):
        return str(value)
    if isinstance(value, Mapping):
        return plain_mapping(value)
    if isinstance(value, Sequence):
        return [plain(item) for item in value]
    return value
