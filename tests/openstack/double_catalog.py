"""What the double of OpenStack has before anything is made: flavors and an image."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
Answer = tuple[int, Json]
Kept = dict[str, dict[str, Json]]
"""Kind → id → what is kept of it."""
FLAVORS = ((1, 2), (2, 4), (2, 8), (4, 16), (4, 32), (8, 32))
"""vCPUs and GiB, one flavor of each."""
IMAGE = "6b7a3c1e-7f0b-4f0e-9d8c-2f1a5b0c9d3e"


def flavors(more: list[str]) -> Answer:
    if more[-1] == "os-extra_specs":
        return 200, {"extra_specs": {}}
    made = [
        {
            "id": f"f-{cpus}-{gib}",
            "name": f"SCS-{cpus}V-{gib}",
            "vcpus": cpus,
            "ram": gib * 1024,
            "disk": 0,
            "swap": 0,
            "rxtx_factor": 1.0,
            "os-flavor-access:is_public": True,
            "OS-FLV-EXT-DATA:ephemeral": 0,
        }
        for cpus, gib in FLAVORS
    ]
    if more == ["detail"]:
        return 200, {"flavors": made}
    return 200, {"flavor": next(one for one in made if one["id"] == more[0])}


def image() -> Json:
    return {
        "id": IMAGE,
        "name": "ubuntu-24.04",
        "status": "active",
        "visibility": "public",
        "container_format": "bare",
        "disk_format": "raw",
        "min_disk": 0,
        "min_ram": 0,
        "size": 1,
        "owner": "p",
        "protected": False,
        "checksum": "x",
        "tags": [],
        "file": "/f",
        "schema": "/s",
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
    }
