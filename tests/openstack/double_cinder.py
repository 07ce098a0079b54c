"""Cinder of the double: volumes that grow and never shrink."""

from __future__ import annotations

import uuid

from tests.openstack.double_catalog import Answer, Json


def cinder(kept: dict[str, Json], method: str, rest: list[str], body: Json) -> Answer:
    """What cinder says of `/v3/PROJECT/…`; `kept` are the volumes by id."""
    more = rest[1:]
    if not more:
        own: Json = {"id": str(uuid.uuid4()), "status": "available", "attachments": []}
        made = {
            **own,
            "volume_type": "ceph",
            "availability_zone": "nova",
            "created_at": "2026-01-01T00:00:00.000000",
        }
        made |= {key: value for key, value in body["volume"].items() if value is not None}
        kept[made["id"]] = made
        return 202, {"volume": made}
    one = kept.get(more[0])
    if one is None:
        return 404, {"itemNotFound": {"message": "not found", "code": 404}}
    if method == "DELETE":
        del kept[more[0]]
        return 202, {}
    if more[1:] == ["action"]:
        one["size"] = body["os-extend"]["new_size"]
        return 202, {}
    return 200, {"volume": one}
