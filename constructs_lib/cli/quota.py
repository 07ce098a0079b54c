"""What a site takes of its project's quota, as `check` and `show` print it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def quota_rows(quota: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Name in `openstack quota show` → what is needed. Only the cloud knows the size of a named flavor."""
    flavors: Mapping[str, int] = quota.get("flavors", {})
    beside = ", and those of the flavors below" if flavors else ""
    for name, needed in quota.items():
        if name == "cores":
            yield name, f"{needed}{beside}"
        elif name == "ram":
            yield name, f"{needed} MiB{beside}"
        elif name != "flavors":
            yield name, str(needed)
    for flavor, count in flavors.items():
        yield f"flavor {flavor}", f"{count} machine{'s' if count > 1 else ''}"
