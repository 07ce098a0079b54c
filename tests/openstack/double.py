"""A double of OpenStack's APIs, as much of them as the plugin asks for while it applies a site.

Built from the documented APIs of keystone, nova, neutron, cinder and glance. It keeps what it is told, and
refuses what the real ones were seen to refuse: an equal rule, an address twice, a port in use. It boots
nothing: whatever rests on it has proven requests, plans and their order, and no cloud.
"""

from __future__ import annotations

import json
import re
import threading
import uuid

from tests.openstack.double_catalog import Answer, Json, flavors, image

COLLECTIONS = {
    "networks": "network",
    "subnets": "subnet",
    "routers": "router",
    "ports": "port",
    "security-groups": "security_group",
    "security-group-rules": "security_group_rule",
    "floatingips": "floatingip",
}
EXTERNAL = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
_OWN: Json = {"tags": [], "project_id": "p", "tenant_id": "p"}
_DEFAULTS: dict[str, Json] = {
    "networks": {"status": "ACTIVE", "router:external": False, "shared": False, "subnets": []},
    "subnets": {"dns_nameservers": [], "host_routes": [], "service_types": []},
    "routers": {"status": "ACTIVE", "distributed": False, "routes": []},
    "ports": {"status": "ACTIVE", "device_id": "", "device_owner": "", "allowed_address_pairs": []},
    "security-groups": {"stateful": True, "security_group_rules": []},
    "security-group-rules": {},
    "floatingips": {"status": "ACTIVE", "router_id": None},
}


class OpenstackDouble:
    """One project in memory. `asked` has a word for each request that changed something, in order."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Json]] = {kind: {} for kind in (*COLLECTIONS, "servers", "volumes")}
        self.kept["os-server-groups"] = {}
        self.mtu = 1450
        """Of a network that says none."""
        self.kept["networks"][EXTERNAL] = {
            **_OWN,
            **_DEFAULTS["networks"],
            "id": EXTERNAL,
            "name": "public",
            "router:external": True,
            "admin_state_up": True,
        }
        self.asked: list[str] = []
        self.user_data: dict[str, str] = {}
        self.files: dict[str, list[Json]] = {}
        self._lock = threading.Lock()
        self.port = 0

    @property
    def environment(self) -> dict[str, str]:
        """What the plugin reads to get here."""
        return {
            "OS_AUTH_URL": f"http://127.0.0.1:{self.port}/v3",
            "OS_USERNAME": "u",
            "OS_PASSWORD": "p",
            "OS_PROJECT_NAME": "p",
            "OS_USER_DOMAIN_NAME": "Default",
            "OS_PROJECT_DOMAIN_NAME": "Default",
            "OS_REGION_NAME": "RegionOne",
        }

    def add_network(self, name: str) -> str:
        """The id of a network that was there before."""
        _, made = self._made("networks", "network", {"name": name, "admin_state_up": True})
        return str(made["network"]["id"])

    def named(self, kind: str, name: str) -> Json:
        """The one of a kind that has the name."""
        (found,) = (one for one in self.kept[kind].values() if one["name"] == name)
        return found

    def answer(self, method: str, path: str, query: str, body: Json) -> Answer:
        """What the API says; one request at a time."""
        with self._lock:
            if method != "GET":
                self.asked.append(f"{method} {re.sub(r'[0-9a-f-]{36}', 'ID', path)}")
            _, service, *rest = path.split("/")
            if service == "v3":
                return self._keystone(method)
            if service == "network":
                return self._neutron(method, rest[1:], query, body)
            if service == "compute":
                return self._nova(method, rest[1:], body)
            if service == "volume":
                return self._cinder(method, rest[2:], body)
            if service == "image":
                return 200, {"images": [image()]}
            return 404, {}

    def _keystone(self, method: str) -> Answer:
        if method == "GET":
            return 200, {"version": {"id": "v3.14", "status": "stable", "links": []}}
        base = f"http://127.0.0.1:{self.port}"
        services = {
            "identity": "/v3",
            "compute": "/compute/v2.1",
            "network": "/network",
            "image": "/image",
            "volumev3": "/volume/v3/p",
            "block-storage": "/volume/v3/p",
        }
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
            for kind, path in services.items()
        ]
        domain = {"id": "default", "name": "Default"}
        return 201, {
            "token": {
                "expires_at": "2099-01-01T00:00:00.000000Z",
                "issued_at": "2026-01-01T00:00:00.000000Z",
                "methods": ["password"],
                "user": {"id": "u", "name": "u", "domain": domain},
                "project": {"id": "p", "name": "p", "domain": domain},
                "roles": [],
                "catalog": catalog,
            }
        }

    def _neutron(self, method: str, rest: list[str], query: str, body: Json) -> Answer:
        kind, *more = rest
        kept, word = self.kept[kind], COLLECTIONS[kind]
        if not more:
            if method == "POST":
                return self._made(kind, word, body[word])
            wanted = dict(re.findall(r"(name|id|network_id|port_id)=([^&]*)", query))
            found = [one for one in kept.values() if all(one.get(k) == v for k, v in wanted.items())]
            return 200, {kind.replace("-", "_"): found}
        one = kept.get(more[0])
        if one is None:
            return 404, {
                "NeutronError": {"type": "NotFound", "message": f"{more[0]} not found", "detail": ""}
            }
        if more[1:] == ["tags"]:
            one["tags"] = body["tags"]
            return 200, body
        if more[1:] == ["add_router_interface"]:
            subnet = self.kept["subnets"][body["subnet_id"]]
            fixed = [{"subnet_id": subnet["id"], "ip_address": subnet["gateway_ip"]}]
            made = {"network_id": subnet["network_id"], "fixed_ips": fixed, "device_id": one["id"]}
            _, answer = self._made("ports", "port", made | {"device_owner": "network:router_interface"})
            return 200, {"id": one["id"], "subnet_id": subnet["id"], "port_id": answer["port"]["id"]}
        if more[1:] == ["remove_router_interface"]:
            for port in [*self.kept["ports"].values()]:
                if port["device_id"] == one["id"]:
                    del self.kept["ports"][port["id"]]
            return 200, {"id": one["id"]}
        if method == "PUT":
            one |= body[word]
        if method == "DELETE":
            del kept[more[0]]
            return 204, {}
        return 200, {word: one}

    def _made(self, kind: str, word: str, given: Json) -> Answer:
        own = {"id": str(uuid.uuid4()), "description": ""} | ({"mtu": self.mtu} if kind == "networks" else {})
        made: Json = {**json.loads(json.dumps(_OWN | _DEFAULTS[kind])), **own, **given}
        refused = self._refused(kind, made)
        if refused:
            return 409, _neutron_error(refused)
        self.kept[kind][made["id"]] = made
        if kind == "security-groups":
            for ethertype in ("IPv4", "IPv6"):
                rule = {"direction": "egress", "ethertype": ethertype, "security_group_id": made["id"]}
                made["security_group_rules"].append(self._made("security-group-rules", "", rule)[1][""])
        if kind == "floatingips":
            made["floating_ip_address"] = f"203.0.113.{len(self.kept[kind])}"
            made["fixed_ip_address"] = self.kept["ports"][made["port_id"]]["fixed_ips"][0]["ip_address"]
        if kind == "ports":
            made["mac_address"] = f"fa:16:3e:00:00:{len(self.kept[kind]):02x}"
        if kind == "routers":
            made["external_gateway_info"] |= {"enable_snat": True, "external_fixed_ips": []}
        return 201, {word: made}

    def _refused(self, kind: str, made: Json) -> str:
        """The error's type, where neutron would not make it."""
        others = self.kept[kind].values()
        if kind == "security-group-rules":
            compared = {"id", "tags", "description"}
            plain = {key: value for key, value in made.items() if key not in compared}
            equal = ({key: value for key, value in one.items() if key not in compared} for one in others)
            return "SecurityGroupRuleExists" if plain in equal else ""
        if kind == "ports":
            taken = [fixed["ip_address"] for one in others for fixed in one["fixed_ips"]]
            used = any(fixed["ip_address"] in taken for fixed in made["fixed_ips"])
            return "IpAddressAlreadyAllocated" if used else ""
        return ""

    def _nova(self, method: str, rest: list[str], body: Json) -> Answer:
        kind, *more = rest
        if kind == "flavors":
            return flavors(more)
        kept = self.kept[kind]
        if kind == "os-server-groups" and method == "POST":
            made = {"id": str(uuid.uuid4()), "members": [], "metadata": {}, **body["server_group"]}
            kept[made["id"]] = made
            return 200, {"server_group": made}
        if kind == "servers" and method == "POST" and not more:
            return self._booted(body["server"])
        one = kept.get(more[0])
        if one is None:
            return 404, {"itemNotFound": {"message": "not found", "code": 404}}
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

    def _booted(self, given: Json) -> Answer:
        made_id = str(uuid.uuid4())
        port = self.kept["ports"][given["networks"][0]["port"]]
        if port["device_id"]:
            return 409, {
                "conflictingRequest": {"message": f"Port {port['id']} is still in use.", "code": 409}
            }
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
        self.user_data[given["name"]] = given["user_data"]
        self.files[given["name"]] = given.get("personality", [])
        self.kept["servers"][made_id] = {
            "id": made_id,
            "name": given["name"],
            "status": "ACTIVE",
            "OS-EXT-STS:vm_state": "active",
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

    def _let_go(self, server: str) -> None:
        for port in self.kept["ports"].values():
            if port["device_id"] == server:
                port["device_id"] = ""
        for volume in self.kept["volumes"].values():
            if any(each["server_id"] == server for each in volume["attachments"]):
                volume |= {"status": "available", "attachments": []}

    def _cinder(self, method: str, rest: list[str], body: Json) -> Answer:
        more = rest[1:]
        kept = self.kept["volumes"]
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


def _neutron_error(kind: str) -> Json:
    return {"NeutronError": {"type": kind, "message": kind, "detail": ""}}
