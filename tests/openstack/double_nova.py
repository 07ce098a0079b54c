"""Nova of the double: machines that never boot, on ports and with volumes."""

from __future__ import annotations

import uuid

from tests.openstack.double_catalog import Answer, Json, Kept, flavors


class Nova:
    """One project's machines; ports and volumes in `kept` are neutron's and cinder's."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        kept.update({"servers": {}, "os-server-groups": {}, "os-keypairs": {}})
        self.user_data: dict[str, str] = {}
        self.files: dict[str, list[Json]] = {}
        self.hosts = 1000
        """How many there are: so many members of a group with hard anti-affinity find one."""

    def answer(self, method: str, rest: list[str], body: Json) -> Answer:
        """What nova says of `/v2.1/…`."""
        kind, *more = rest
        if kind == "flavors":
            return flavors(more)
        if kind == "os-keypairs":
            return self._key_pair(method, more, body)
        kept = self.kept[kind]
        if kind == "os-server-groups" and method == "POST":
            made = {"id": str(uuid.uuid4()), "members": [], "metadata": {}, **body["server_group"]}
            kept[made["id"]] = made
            return 200, {"server_group": made}
        if kind == "servers" and method == "POST" and not more:
            return self._booted(body)
        one = kept.get(more[0])
        if one is None:
            return 404, _refusal("itemNotFound", 404, "not found")
        if more[1:] == ["action"]:
            one["status"] = "SHUTOFF" if "os-stop" in body else "ACTIVE"
            return 202, {}
        if more[1:2] == ["metadata"]:
            one["metadata"] |= body.get("metadata", {})
            return 200, {"metadata": one["metadata"]}
        if method == "DELETE":
            del kept[more[0]]
            self._let_go(more[0])
            return 204, {}
        return 200, {"server" if kind == "servers" else "server_group": one}

    def _key_pair(self, method: str, more: list[str], body: Json) -> Answer:
        """Those of the one user that there is, by name."""
        kept = self.kept["os-keypairs"]
        if method == "POST":
            given = body["keypair"]
            if given["name"] in kept:
                return 409, _refusal("conflictingRequest", 409, f"Key pair '{given['name']}' already exists.")
            kept[given["name"]] = {"fingerprint": "00:11", "user_id": "u", **given}
            return 200, {"keypair": kept[given["name"]]}
        if more[0] not in kept:
            return 404, _refusal("itemNotFound", 404, f"Keypair {more[0]} not found for user u")
        if method == "DELETE":
            del kept[more[0]]
            return 202, {}
        return 200, {"keypair": kept[more[0]]}

    def _booted(self, body: Json) -> Answer:
        given, made_id = body["server"], str(uuid.uuid4())
        if given.get("key_name") and given["key_name"] not in self.kept["os-keypairs"]:
            return 400, _refusal("badRequest", 400, "Invalid key_name provided.")
        port = self.kept["ports"][given["networks"][0]["port"]]
        if port["device_id"]:
            return 409, _refusal("conflictingRequest", 409, f"Port {port['id']} is still in use.")
        port["device_id"] = made_id
        for disk in given["block_device_mapping_v2"]:
            if disk["source_type"] == "volume":
                volume = self.kept["volumes"][disk["uuid"]]
                volume["status"] = "in-use"
                volume["attachments"] = [
                    {"server_id": made_id, "volume_id": disk["uuid"], "device": "/dev/vdb"}
                ]
        address = {
            "addr": port["fixed_ips"][0]["ip_address"],
            "version": 4,
            "OS-EXT-IPS:type": "fixed",
            "OS-EXT-IPS-MAC:mac_addr": port["mac_address"],
        }
        found = self._finds_a_host(made_id, body.get("os:scheduler_hints", {}).get("group"))
        self.user_data[given["name"]] = given["user_data"]
        self.files[given["name"]] = given.get("personality", [])
        self.kept["servers"][made_id] = {
            "id": made_id,
            "name": given["name"],
            "status": "ACTIVE" if found else "ERROR",
            "OS-EXT-STS:vm_state": "active" if found else "error",
            "image": "",
            "flavor": {"id": given["flavorRef"]},
            "addresses": {self.kept["networks"][port["network_id"]]["name"]: [address]},
            "metadata": given["metadata"],
            "config_drive": "True",
            "key_name": given.get("key_name"),
            "OS-EXT-AZ:availability_zone": given.get("availability_zone", "nova"),
            "created": "2026-01-01T00:00:00Z",
            "updated": "2026-01-01T00:00:00Z",
            "security_groups": [],
            "tenant_id": "p",
            "tags": [],
        }
        return 202, {"server": {"id": made_id, "adminPass": "x", "links": []}}

    def _finds_a_host(self, server: str, group_id: str | None) -> bool:
        """Whether its group, if it has one, has fewer members on hosts than there are hosts."""
        if group_id is None:
            return True
        group = self.kept["os-server-groups"][group_id]
        placed = [one for one in group["members"] if self.kept["servers"][one]["status"] == "ACTIVE"]
        group["members"].append(server)
        # Its newer versions know one policy, the older ones a list.
        policies = group.get("policies") or [group["policy"]]
        return len(placed) < self.hosts or "anti-affinity" not in policies

    def _let_go(self, server: str) -> None:
        for group in self.kept["os-server-groups"].values():
            group["members"] = [member for member in group["members"] if member != server]
        for port in self.kept["ports"].values():
            if port["device_id"] == server:
                port["device_id"] = ""
        for volume in self.kept["volumes"].values():
            if any(each["server_id"] == server for each in volume["attachments"]):
                volume |= {"status": "available", "attachments": []}


def _refusal(kind: str, code: int, message: str) -> Json:
    return {kind: {"message": message, "code": code}}
