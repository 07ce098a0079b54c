"""The lab's network: a bridge in a namespace of its own, and a namespace with one cable for each machine."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from constructs_lib.lab.commands import run, try_run

ROUTER = "lab-router"
"""The namespace with the bridge: the machines' default gateway, which leads nowhere."""
BRIDGE = "br0"
STRANGER = "stranger"
"""A namespace on the same segment with an address of no role, to ask what nobody may ask."""


@dataclass
class Network:
    """A site's network as one segment; the planned zones keep their addresses and lose their routers."""

    network: IPv4Network
    mtu: int
    cables: dict[str, str] = field(default_factory=dict)
    """Machine → the bridge's end of its cable."""

    @property
    def router(self) -> IPv4Address:
        """The first address of the network, which no planned node has."""
        return self.network[1]

    @property
    def stranger(self) -> IPv4Address:
        """The last address of the network, which no planned node has either."""
        return self.network[-2]

    def up(self) -> None:
        """Make the bridge."""
        run("ip", "netns", "add", ROUTER)
        _ip(ROUTER, "link", "set", "lo", "up")
        _ip(ROUTER, "link", "add", BRIDGE, "type", "bridge")
        _ip(ROUTER, "addr", "add", f"{self.router}/{self.network.prefixlen}", "dev", BRIDGE)
        _ip(ROUTER, "link", "set", BRIDGE, "up")
        self.plug(STRANGER, self.stranger)

    def plug(self, machine: str, address: IPv4Address) -> None:
        """Make the machine's namespace, with `address` on its end of a cable to the bridge."""
        space = namespace(machine)
        # Numbered: an interface's name has 15 characters at most, a machine's may have more.
        cable = self.cables.setdefault(machine, f"v{len(self.cables)}")
        run("ip", "netns", "add", space)
        _ip(space, "link", "set", "lo", "up")
        _ip(space, "link", "add", "host0", "type", "veth", "peer", "name", cable, "netns", ROUTER)
        _ip(ROUTER, "link", "set", cable, "mtu", str(self.mtu), "master", BRIDGE, "up")
        _ip(space, "link", "set", "host0", "mtu", str(self.mtu))
        self.address(machine, address)

    def address(self, machine: str, address: IPv4Address) -> None:
        """Give the machine this address instead of the one it has."""
        space = namespace(machine)
        _ip(space, "addr", "flush", "dev", "host0")
        _ip(space, "addr", "add", f"{address}/{self.network.prefixlen}", "dev", "host0")
        _ip(space, "link", "set", "host0", "up")
        _ip(space, "route", "replace", "default", "via", str(self.router))

    def unplug(self, machine: str) -> None:
        """Take cable and namespace away: a namespace alone lingers, and would keep the cable's name."""
        commands = [
            ("ip", "-n", ROUTER, "link", "del", self.cables[machine]),
            ("ip", "netns", "del", namespace(machine)),
        ]
        try_run(commands)

    def cut(self, machine: str) -> None:
        """Nothing reaches the machine, and it reaches nothing; it does not notice otherwise."""
        _ip(ROUTER, "link", "set", self.cables[machine], "down")

    def heal(self, machine: str) -> None:
        """Undo `cut`."""
        _ip(ROUTER, "link", "set", self.cables[machine], "up")


def namespace(machine: str) -> str:
    """The name of the machine's network namespace."""
    return f"lab-{machine}"


def _ip(space: str, *words: str) -> None:
    run("ip", "-n", space, *words)
