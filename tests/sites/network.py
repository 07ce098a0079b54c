"""The sites of a planned cluster as machines of this computer, joined by an internet between their routers.

A site has a router, which does what its platform does: one network, a public address for the gateway where
others call it, other addresses translated, and routes that lead packets for other sites to the gateway. Where
the platform's network can't be told any routes, its router has none, and each node has those of its unit.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from constructs_lib.components.model import Role
from constructs_lib.components.site_link import UNIT
from constructs_lib.components.site_routes import SERVICE
from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import NODE_ADDRESS, NODE_NAME, render
from constructs_lib.plan.model import ClusterPlan, SitePlan
from tests.components.consul_here import values
from tests.lab.asking import until
from tests.sites.machine import LONG, Machine, cable

ANSWERING = str(Path(__file__).with_name("answering.py"))
ASKING = str(Path(__file__).with_name("asking.py"))
PYTHON = "/usr/bin/python3"
ASKED = "/run/asked"
PUBLIC = {"eu": "192.0.2.10", "dc1": "198.51.100.10", "dc2": "203.0.113.10"}
"""The address of each site's router in the internet; the first of its network is the internet's own."""
AGENT = "agent-1"
Place = tuple[str, str]
"""A site, and the name of a node there."""


class Site:
    """One site: its gateway, a router before it, and its nodes by name."""

    def __init__(self, plan: SitePlan, secrets: Mapping[str, str], public: Mapping[str, str]) -> None:
        self.plan, self.secrets, self.public = plan, dict(secrets), dict(public)
        self.router = Machine(f"{plan.name}-router")
        self.machines: dict[str, Machine] = {}
        self.addresses = {node.name: str(node.address) for node in plan.nodes}
        if plan.pools:
            self.addresses[AGENT] = str(plan.zones[0].roles[Role.AGENT][9])

    @property
    def gateway(self) -> Machine:
        return self.machines["gateway-1"]

    def files(self, name: str) -> NodeFiles:
        named = {node.name: node for node in self.plan.nodes}
        return render(self.plan, named.get(name) or self.plan.pools[0])

    def build(self) -> None:
        self.router.run("ip", "link", "add", "site", "type", "bridge")
        inside = self.plan.network[-2]
        self.router.run("ip", "address", "add", f"{inside}/{self.plan.network.prefixlen}", "dev", "site")
        self.router.run("ip", "link", "set", "site", "up")
        self.router.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv4.conf.all.send_redirects=0")
        for number, (name, address) in enumerate(self.addresses.items()):
            machine = self.machines[name] = Machine(f"{self.plan.name}-{name}")
            cable(self.router, f"node{number}", machine, "eth0")
            self.router.run("ip", "link", "set", f"node{number}", "master", "site")
            machine.run("ip", "address", "add", f"{address}/{self.plan.network.prefixlen}", "dev", "eth0")
            machine.run("ip", "route", "add", "default", "via", str(inside))
            self.put_files(name)
            machine.run("nft", "-f", "/etc/clustermesos/firewall.nft")
            self.put_routes(machine)
        if not self.plan.facts.routes_on_nodes:
            for other in self.plan.link.sites if self.plan.link else ():
                self.router.run("ip", "route", "add", str(other.network), "via", self.addresses["gateway-1"])

    def put_files(self, name: str) -> None:
        """The node's users, files and secrets, as clustermesos-apply would put them; root owns all."""
        machine, files = self.machines[name], self.files(name)
        for user in files.users:
            for base, text in (
                ("passwd", f"{user.name}:x:{user.uid}:{user.uid}::/:/bin/false\n"),
                ("group", f"{user.name}:x:{user.uid}:\n"),
            ):
                known = machine.at(f"/etc/{base}").read_text()
                if not re.search(rf"(?m)^{user.name}:", known):
                    machine.put(f"/etc/{base}", known + text)
        for file in files.files:
            text = shipped(file.path, file.content)
            for mark, value in {NODE_NAME: name, NODE_ADDRESS: self.addresses[name], **self.late()}.items():
                text = text.replace(mark, value)
            machine.put(file.path, text, file.mode)
        for directory in files.directories:
            machine.at(directory.path).mkdir(parents=True, exist_ok=True)
            machine.at(directory.path).chmod(directory.mode)
        for secret in files.secrets:
            machine.put(secret.path, self.secrets[secret.name], secret.mode)

    def put_routes(self, machine: Machine) -> None:
        """As the unit that keeps them, where the node has one."""
        unit = machine.at(f"/etc/systemd/system/{SERVICE}")
        if unit.exists():
            (command,) = re.findall(r"(?m)^ExecStart=(.+)$", unit.read_text())
            machine.run(*shlex.split(command))

    def late(self) -> dict[str, str]:
        """Marker → value of the addresses that a platform chooses."""
        return {
            late.marker: self.public[late.subject]
            for late in self.plan.late_values
            if late.kind == "gateway_public_address"
        }

    def plug_in(self, internet: Machine) -> None:
        """A public address, the gateway's own where it is called; else what the site sends is translated."""
        name, address = self.plan.name, self.public[self.plan.name]
        cable(internet, name, self.router, "internet")
        first = re.sub(r"\d+$", "1", address)
        internet.run("ip", "address", "add", f"{first}/24", "dev", name)
        self.router.run("ip", "address", "add", f"{address}/24", "dev", "internet")
        self.router.run("ip", "route", "add", "default", "via", first)
        inwards = ""
        if self.plan.link and self.plan.link.called:
            inwards = f'iifname "internet" dnat ip to {self.addresses["gateway-1"]};'
        outwards = 'oifname "internet" masquerade random;'
        chains = f"""
            chain inwards {{ type nat hook prerouting priority dstnat; {inwards} }}
            chain outwards {{ type nat hook postrouting priority srcnat; {outwards} }}
        """
        self.router.run("nft", "-f", "-", stdin=f"table ip router {{ {chains} }}")

    def moves(self, internet: Machine, address: str) -> None:
        """The router gets another public address of the same network."""
        self.router.run("ip", "address", "flush", "dev", "internet")
        self.router.run("ip", "address", "add", f"{address}/24", "dev", "internet")
        first = re.sub(r"\d+$", "1", address)
        self.router.run("ip", "route", "replace", "default", "via", first)
        # Whoever still knew the router by its former address would wait for it.
        internet.run("ip", "neighbour", "flush", "dev", self.plan.name)

    def unit(self, *kinds: str) -> list[list[str]]:
        """The commands of wg-quick's unit, of kinds such as ExecStartPre: our own, else the package's."""
        ours = self.files("gateway-1").file(f"/etc/systemd/system/{UNIT}.d/clustermesos.conf").content
        packaged = {"ExecStart": "/usr/bin/wg-quick up %i", "ExecStop": "/usr/bin/wg-quick down %i"}
        found = []
        for kind in kinds:
            lines = re.findall(rf"(?m)^{kind}=(.+)$", ours) or [packaged[kind]]
            found += [shlex.split(line.replace("%i", "sites")) for line in lines]
        return found

    def link_up(self) -> None:
        for command in self.unit("ExecStartPre", "ExecStart"):
            self.gateway.run(*command)

    def link_reload(self) -> None:
        for command in self.unit("ExecReload"):
            self.gateway.run(*command)

    def link_down(self) -> None:
        for command in self.unit("ExecStop", "ExecStopPost"):
            self.gateway.run(*command)

    def end(self) -> None:
        for machine in (*self.machines.values(), self.router):
            machine.end()


class Network:
    """Every site of a cluster, and the internet."""

    def __init__(self, plan: ClusterPlan, public: Mapping[str, str] = PUBLIC) -> None:
        self.secrets = values(plan.secrets)
        self.internet = Machine("internet")
        self.sites = {name: Site(site, self.secrets, public) for name, site in plan.sites.items()}

    def build(self) -> None:
        self.internet.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        for site in self.sites.values():
            site.build()
            site.plug_in(self.internet)

    def mtu(self, size: int) -> None:
        """The largest packet that passes the internet."""
        for name, site in self.sites.items():
            self.internet.run("ip", "link", "set", name, "mtu", str(size))
            site.router.run("ip", "link", "set", "internet", "mtu", str(size))

    def loses(self, percent: int) -> None:
        """Of the packets in the internet, at random."""
        self.internet.does("nft", "delete", "table", "ip", "loss")
        if percent:
            self.internet.drops("loss", "forward", f"numgen random mod 100 < {percent}")

    def machine(self, site: str, name: str) -> Machine:
        return self.sites[site].machines[name]

    def address(self, site: str, name: str) -> str:
        return self.sites[site].addresses[name]

    def listen(self, *ports: int) -> None:
        """Every node answers on these ports, and writes down who asked."""
        machines = [machine for site in self.sites.values() for machine in site.machines.values()]
        for machine in machines:
            machine.starts(PYTHON, ANSWERING, *map(str, ports), into=ASKED)
        for machine in machines:
            until(f"{machine.name} listens", LONG, partial(asked, machine))

    def ask(self, source: Place, target: Place, *ports: int) -> dict[str, str]:
        """`tcp/PORT` or `udp/PORT` → the address of `source` as `target` sees it, of what answers."""
        words = (self.address(*target), "reach", *map(str, ports))
        found: dict[str, str] = json.loads(self.machine(*source).run(PYTHON, ASKING, *words))
        return found

    def send(self, source: Place, target: Place, port: int, size: int) -> int:
        """Send so many bytes there and back; the largest segment that `target` would send."""
        words = (self.address(*target), "send", str(port), str(size))
        return int(self.machine(*source).run(PYTHON, ASKING, *words))

    def end(self) -> None:
        for site in self.sites.values():
            site.end()
        self.internet.end()


def asked(machine: Machine) -> list[str]:
    """Who asked the machine, in order, after a first line."""
    place = machine.at(ASKED)
    return place.read_text().splitlines() if place.exists() else []


@contextmanager
def network(plan: ClusterPlan, public: Mapping[str, str] = PUBLIC) -> Iterator[Network]:
    """All machines, with every firewall loaded and no link up yet."""
    made = Network(plan, public)
    try:
        made.build()
        yield made
    finally:
        made.end()
