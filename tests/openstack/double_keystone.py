"""Keystone of the double: one token for everybody, and where the other services are."""

from __future__ import annotations

from tests.openstack.double_catalog import Answer, Json

SERVICES = {
    "identity": "/v3",
    "compute": "/compute/v2.1",
    "network": "/network",
    "image": "/image",
    "load-balancer": "/load-balancer",
    "object-store": "/object-store/v1/AUTH_p",
    "volumev3": "/volume/v3/p",
    "block-storage": "/volume/v3/p",
}
"""Kind of service → where it is on the double's port."""


def keystone(method: str, port: int, body: Json) -> Answer:
    """A token for whatever way of proving oneself, which it says."""
    if method == "GET":
        return 200, {"version": {"id": "v3.14", "status": "stable", "links": []}}
    base = f"http://127.0.0.1:{port}"
    catalog = [
        {
            "type": kind,
            "name": kind,
            "id": kind,
            "endpoints": [
                {
                    "id": kind,
                    "interface": "public",
                    "region": "RegionOne",
                    "region_id": "RegionOne",
                    "url": base + path,
                }
            ],
        }
        for kind, path in SERVICES.items()
    ]
    domain = {"id": "default", "name": "Default"}
    return 201, {
        "token": {
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "methods": body["auth"]["identity"]["methods"],
            "user": {"id": "u", "name": "u", "domain": domain},
            "project": {"id": "p", "name": "p", "domain": domain},
            "roles": [],
            "catalog": catalog,
        }
    }
