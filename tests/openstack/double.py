"""A double of OpenStack's APIs, as much of them as the plugin asks for while it applies a site.

Built from the documented APIs of each service, a module for each. It keeps what it is told, and
refuses what the real ones were seen to refuse: an equal rule, an address twice, a port in use. It boots
nothing: whatever rests on it has proven requests, plans and their order, and no cloud.
"""

from __future__ import annotations

import re
import threading

from tests.openstack.double_catalog import Answer, Json, Kept
from tests.openstack.double_cinder import cinder
from tests.openstack.double_faults import Fault
from tests.openstack.double_glance import Glance
from tests.openstack.double_keystone import keystone
from tests.openstack.double_neutron import Neutron
from tests.openstack.double_nova import Nova
from tests.openstack.double_octavia import Octavia
from tests.openstack.double_swift import swift


class OpenstackDouble:
    """One project in memory.

    `asked` has a word for each request that changed something, in order; `logins` what each was proven with;
    `faults` are put in by a test.
    """

    def __init__(self) -> None:
        self.kept: Kept = {"volumes": {}, "images": {}, "containers": {}}
        self.neutron = Neutron(self.kept)
        self.nova = Nova(self.kept)
        self.glance = Glance(self.kept["images"])
        self.octavia = Octavia(self.kept, self.neutron)
        self.asked: list[str] = []
        self.logins: list[Json] = []
        self.faults: list[Fault] = []
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
        _, made = self.neutron.made("networks", "network", {"name": name, "admin_state_up": True})
        return str(made["network"]["id"])

    def named(self, kind: str, name: str) -> Json:
        """The one of a kind that has the name."""
        (found,) = (one for one in self.kept[kind].values() if one["name"] == name)
        return found

    def answer(self, method: str, path: str, query: str, body: Json | bytes) -> Answer:
        """What the API says; one request at a time."""
        with self._lock:
            if method != "GET":
                self.asked.append(f"{method} {re.sub(r'[0-9a-f-]{36}', 'ID', path)}")
            for fault in self.faults:
                if fault.strikes(method, path):
                    return fault.answer
            _, service, *rest = path.split("/")
            if service == "v3":
                assert isinstance(body, dict)
                if method == "POST":
                    self.logins.append(body["auth"]["identity"])
                return keystone(method, self.port, body)
            if service == "image":
                return self.glance.answer(method, rest[1:], body)
            assert isinstance(body, dict)
            if service == "network":
                return self.neutron.answer(method, rest[1:], query, body)
            if service == "object-store":
                return swift(self.kept["containers"], method, rest[2:])
            if service == "load-balancer":
                return self.octavia.answer(method, rest[1:], body)
            if service == "compute":
                return self.nova.answer(method, rest[1:], body)
            if service == "volume":
                return cinder(self.kept["volumes"], method, rest[2:], body)
            return 404, {}
