"""Swift of the double: containers by name. As the real one, it takes a second PUT of one for a change."""

from __future__ import annotations

from tests.openstack.double_catalog import Answer, Json


def swift(kept: dict[str, Json], method: str, rest: list[str]) -> Answer:
    """What swift says of `/v1/ACCOUNT/…`; `kept` are the containers by name."""
    name = rest[0]
    if method == "PUT":
        kept.setdefault(name, {"name": name})
        return 201, {}
    if name not in kept:
        return 404, {}
    if method == "DELETE":
        del kept[name]
    return 204, {}
