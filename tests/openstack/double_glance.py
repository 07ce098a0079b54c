"""Glance of the double: the image that is there, and those that are uploaded."""

from __future__ import annotations

import hashlib
import uuid

from tests.openstack.double_catalog import Answer, Json, image


class Glance:
    """One project's images; `uploaded` has the bytes of each by id."""

    def __init__(self, kept: dict[str, Json]) -> None:
        self.kept = kept
        self.uploaded: dict[str, bytes] = {}

    def answer(self, method: str, rest: list[str], body: Json | bytes) -> Answer:
        """What glance says of `/v2/images/…`."""
        more = rest[1:]
        if not more:
            if method == "GET":
                return 200, {"images": [image(), *self.kept.values()]}
            assert isinstance(body, dict)
            made: Json = {**image(), "id": str(uuid.uuid4()), "status": "queued", "checksum": None, **body}
            self.kept[made["id"]] = made
            return 201, made
        one = self.kept.get(more[0])
        if one is None:
            return 404, {}
        if more[1:] == ["file"]:
            assert isinstance(body, bytes)
            self.uploaded[more[0]] = body
            digest = hashlib.md5(body, usedforsecurity=False).hexdigest()
            one |= {"status": "active", "size": len(body), "checksum": digest}
            return 204, {}
        if method == "DELETE":
            del self.kept[more[0]]
            return 204, {}
        return 200, one
