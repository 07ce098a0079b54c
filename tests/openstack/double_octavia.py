"""Octavia of the double: balancers that are active at once, with an address that neutron chose."""

from __future__ import annotations

import uuid

from tests.openstack.double_catalog import Answer, Json, Kept
from tests.openstack.double_neutron import Neutron

WORDS = {
    "loadbalancers": "loadbalancer",
    "listeners": "listener",
    "pools": "pool",
    "healthmonitors": "healthmonitor",
}
_PARENTS = {"loadbalancer_id": "loadbalancers", "listener_id": "listeners", "pool_id": "pools"}


class Octavia:
    """One project's balancers, in `kept` by kind and id."""

    def __init__(self, kept: Kept, neutron: Neutron) -> None:
        self.kept, self.neutron = kept, neutron
        kept.update({kind: {} for kind in (*WORDS, "members")})

    def answer(self, method: str, rest: list[str], body: Json) -> Answer:
        """What octavia says of `/v2.0/lbaas/…`."""
        kind, *more = rest[1:]
        if len(more) > 1 and more[1] == "members":
            return self._one(method, "members", "member", more[2:], body, {"pool_id": more[0]})
        return self._one(method, kind, WORDS[kind], more, body, {})

    def _one(self, method: str, kind: str, word: str, more: list[str], body: Json, own: Json) -> Answer:
        kept = self.kept[kind]
        if not more and method == "POST":
            return 201, {word: self._made(kind, {**own, **body[word]})}
        if not more:
            return 200, {kind: list(kept.values())}
        one = kept.get(more[0])
        if one is None:
            return 404, {"faultstring": "not found"}
        if method == "DELETE":
            del kept[more[0]]
            if kind == "loadbalancers":
                del self.neutron.kept["ports"][one["vip_port_id"]]
            return 204, {}
        if method == "PUT":
            one |= body[word]
        return 200, {word: one}

    def _made(self, kind: str, given: Json) -> Json:
        made: Json = {
            "id": str(uuid.uuid4()),
            "provisioning_status": "ACTIVE",
            "operating_status": "ONLINE",
            "project_id": "p",
            "tags": [],
            **given,
        }
        for key, parents in _PARENTS.items():
            if key in given and kind != "members":
                made[parents] = [{"id": given[key]}]
        if kind == "loadbalancers":
            made |= self._address(given["vip_subnet_id"]) | {
                "provider": "amphora",
                "listeners": [],
                "pools": [],
            }
        if kind == "listeners":
            # As a table whose key is the range gives them back.
            made["allowed_cidrs"] = sorted(given["allowed_cidrs"])
        self.kept[kind][made["id"]] = made
        return made

    def _address(self, subnet_id: str) -> Json:
        subnet = self.neutron.kept["subnets"][subnet_id]
        address = subnet["allocation_pools"][0]["start"]
        fixed = [{"subnet_id": subnet_id, "ip_address": address}]
        _, answer = self.neutron.made(
            "ports",
            "port",
            {"network_id": subnet["network_id"], "fixed_ips": fixed, "device_owner": "Octavia"},
        )
        return {
            "vip_port_id": answer["port"]["id"],
            "vip_address": address,
            "vip_network_id": subnet["network_id"],
        }
