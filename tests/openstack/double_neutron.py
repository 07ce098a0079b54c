"""Neutron of the double: networks, ports, groups and rules, floating addresses."""

from __future__ import annotations

import json
import re
import uuid
from ipaddress import IPv4Address, IPv4Network
from urllib.parse import parse_qs

from tests.openstack.double_catalog import Answer, Json, Kept

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


class Neutron:
    """One project's networks, in `kept` by kind and id."""

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        kept.update({kind: {} for kind in COLLECTIONS})
        self.mtu = 1450
        """Of a network that says none, and the most that one may say."""
        kept["networks"][EXTERNAL] = {
            **_OWN,
            **_DEFAULTS["networks"],
            "id": EXTERNAL,
            "name": "public",
            "router:external": True,
            "admin_state_up": True,
        }

    def answer(self, method: str, rest: list[str], query: str, body: Json) -> Answer:
        """What neutron says of `/v2.0/…`."""
        kind, *more = rest
        kept, word = self.kept[kind], COLLECTIONS[kind]
        if not more:
            if method == "POST":
                return self.made(kind, word, body[word])
            wanted = dict(re.findall(r"(name|id|network_id|port_id)=([^&]*)", query))
            tags = [tag for text in parse_qs(query).get("tags", []) for tag in text.split(",")]
            found = [
                one
                for one in kept.values()
                if all(one.get(k) == v for k, v in wanted.items()) and set(tags) <= set(one["tags"])
            ]
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
            _, answer = self.made("ports", "port", made | {"device_owner": "network:router_interface"})
            return 200, {"id": one["id"], "subnet_id": subnet["id"], "port_id": answer["port"]["id"]}
        if more[1:] == ["remove_router_interface"]:
            for port in [*self.kept["ports"].values()]:
                if port["device_id"] == one["id"]:
                    del self.kept["ports"][port["id"]]
            return 200, {"id": one["id"]}
        if method == "PUT":
            refused = self._change_refused(kind, one, body[word])
            if refused:
                return refused
            one |= body[word]
        if method == "DELETE":
            if any(one["id"] in port.get("security_groups", ()) for port in self.kept["ports"].values()):
                return 409, _neutron_error("SecurityGroupInUse")
            del kept[more[0]]
            return 204, {}
        return 200, {word: one}

    def _change_refused(self, kind: str, one: Json, given: Json) -> Answer | None:
        """The answer, where neutron would not change it so."""
        moved = kind == "subnets" and given.get("gateway_ip", one["gateway_ip"]) != one["gateway_ip"]
        if moved and self._routed(one["id"]):
            return 409, _neutron_error("GatewayIpInUse")
        if kind == "routers":
            subnets = [subnet for subnet in self.kept["subnets"].values() if self._routed(subnet["id"])]
            for route in given.get("routes", ()):
                hop = IPv4Address(route["nexthop"])
                if not any(hop in IPv4Network(subnet["cidr"]) for subnet in subnets):
                    return 400, _neutron_error("InvalidRoutes", "the nexthop is not connected with router")
        return None

    def made(self, kind: str, word: str, given: Json) -> Answer:
        """Make one of a kind, as neutron would: with what it adds, or refused."""
        own = {"id": str(uuid.uuid4()), "description": ""} | ({"mtu": self.mtu} if kind == "networks" else {})
        made: Json = {**json.loads(json.dumps(_OWN | _DEFAULTS[kind])), **own, **given}
        if kind == "floatingips" and not self._leads_out(made["port_id"]):
            return 404, _neutron_error("ExternalGatewayForFloatingIPNotFound")
        if kind == "networks" and made["mtu"] > self.mtu:
            why = f"Requested MTU is too big, maximum is {self.mtu}."
            return 400, _neutron_error("InvalidInput", f"Invalid input for operation: {why}")
        refused = self._refused(kind, made)
        if refused:
            return 409, _neutron_error(refused)
        self.kept[kind][made["id"]] = made
        if kind == "security-groups":
            for ethertype in ("IPv4", "IPv6"):
                rule = {"direction": "egress", "ethertype": ethertype, "security_group_id": made["id"]}
                made["security_group_rules"].append(self.made("security-group-rules", "", rule)[1][""])
        if kind == "floatingips":
            made["floating_ip_address"] = f"203.0.113.{len(self.kept[kind])}"
            made["fixed_ip_address"] = self.kept["ports"][made["port_id"]]["fixed_ips"][0]["ip_address"]
        if kind == "ports":
            made["mac_address"] = f"fa:16:3e:00:00:{len(self.kept[kind]):02x}"
        if kind == "routers":
            made["external_gateway_info"] |= {"enable_snat": True, "external_fixed_ips": []}
        return 201, {word: made}

    def _leads_out(self, port_id: str) -> bool:
        """Whether a router has an interface in the port's subnet."""
        return self._routed(self.kept["ports"][port_id]["fixed_ips"][0]["subnet_id"])

    def _routed(self, subnet: str) -> bool:
        routed = (p for p in self.kept["ports"].values() if p["device_owner"] == "network:router_interface")
        return any(subnet == fixed["subnet_id"] for port in routed for fixed in port["fixed_ips"])

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


def _neutron_error(kind: str, message: str = "") -> Json:
    return {"NeutronError": {"type": kind, "message": message or kind, "detail": ""}}
