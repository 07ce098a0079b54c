"""Another site's gateway in the stranger's network: its end of the tunnel, and an agent that asks through it.

It is no machine: what it has is the keys and the addresses that the plan gives that site.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from constructs_lib.components.model import Role
from constructs_lib.lab.commands import which
from constructs_lib.lab.keeper import KeptLab
from constructs_lib.lab.network import BRIDGE, STRANGER
from constructs_lib.plan.model import ClusterPlan

DEVICE = "other"
PORT = 51820
# wireguard-go's socket lies in a file system that goes with it, however the lab ends.
TUNNEL = 'mount -t tmpfs tmpfs /run && "$1" "$2" && wg setconf "$2" "$3"'


@contextmanager
def other_site(lab: KeptLab, plan: ClusterPlan, name: str, secrets: Mapping[str, str]) -> Iterator[None]:
    """The site calls the lab's gateway, and the lab's router leads to it as the platform's would.

    From then on what asks from `STRANGER` for the lab's masters asks from an agent's address of that site.
    """
    other = plan.site(name)
    home = plan.site(other.home)
    assert other.link is not None
    gateway = str(home.nodes_of(Role.GATEWAY)[0].address)
    agent = str(other.zones[0].roles[Role.AGENT][9])
    lines = [
        "[Interface]",
        f"PrivateKey = {secrets[f'wireguard_key_{name}']}",
        "[Peer]",
        f"PublicKey = {secrets[f'wireguard_public_key_{home.name}']}",
        f"AllowedIPs = {home.network}",
        f"Endpoint = {gateway}:{PORT}",
        "PersistentKeepalive = 5",
    ]
    program = which("wireguard-go") or "wireguard-go"
    with tempfile.NamedTemporaryFile("w", prefix="clustermesos-") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        try:
            for words in (
                ("unshare", "--mount", "sh", "-ec", TUNNEL, "sh", program, DEVICE, file.name),
                ("ip", "address", "add", f"{agent}/32", "dev", DEVICE),
                ("ip", "link", "set", DEVICE, "mtu", str(other.link.mtu), "up"),
                *(("ip", "route", "add", f"{one}/32", "dev", DEVICE, "src", agent) for one in home.masters),
            ):
                _does(lab, STRANGER, words)
            _does(lab, None, ("sysctl", "-qw", "net.ipv4.ip_forward=1"))
            _does(lab, None, ("ip", "route", "replace", str(other.network), "via", gateway, "dev", BRIDGE))
            yield
        finally:
            lab.reach(STRANGER, "ip", "link", "del", DEVICE)
            lab.reach(None, "ip", "route", "del", str(other.network))
            lab.reach(None, "sysctl", "-qw", "net.ipv4.ip_forward=0")


def _does(lab: KeptLab, space: str | None, words: tuple[str, ...]) -> None:
    done = lab.reach(space, *words)
    assert done.code == 0, f"{' '.join(words)}: {done.out}{done.err}"
