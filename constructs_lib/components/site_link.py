"""The links between sites: one WireGuard tunnel from this gateway to each of those it can meet.

The side without a public address calls and keeps the road open. What may pass is in the node's firewall; the
sites' routers lead packets for other sites here.
"""

from __future__ import annotations

from constructs_lib.components.model import (
    CommandSucceeds,
    Component,
    Directory,
    File,
    Peer,
    Port,
    Role,
    Secret,
    UnitActive,
)

INTERFACE = "sites"
UNIT = f"wg-quick@{INTERFACE}.service"
WATCH = "site-link-watch.timer"
PROGRAM = "/usr/local/sbin/site-link"
LIVE_KEYS = ("mtu", "peers")
"""What may change without the links of other sites going down; their own address and port may not."""
KEY = "wireguard_key"
PUBLIC_KEY = "wireguard_public_key"

SITE_LINK = Component(
    name="site_link",
    summary="WireGuard tunnels between the gateways of a cluster's sites",
    roles=(Role.GATEWAY,),
    software=None,
    linked=True,
    packages=("wireguard-tools",),
    ports=(
        # WireGuard answers nobody whose key it does not know.
        Port("wireguard", 51820, (Peer.SITES,), "gateways of other sites call this one", protocol="udp"),
    ),
    files=(
        File("site-link.json.j2", to="/etc/clustermesos/site-link.json", restarts=UNIT, live_keys=LIVE_KEYS),
        File("site-link", to=PROGRAM, mode=0o755, restarts=UNIT),
        File("unit.conf", to=f"/etc/systemd/system/{UNIT}.d/clustermesos.conf", restarts=UNIT),
        File("site-link-watch.service", to="/etc/systemd/system/site-link-watch.service"),
        File(WATCH, to=f"/etc/systemd/system/{WATCH}", restarts=WATCH),
    ),
    directories=(Directory(path="/etc/wireguard/keys", mode=0o700),),
    units=(UNIT, WATCH),
    interface=INTERFACE,
    secrets=(
        Secret(
            name=KEY,
            kind="wireguard_key",
            roles=(Role.GATEWAY,),
            to="/etc/wireguard/keys/own",
            per_site=True,
            reloads=UNIT,
        ),
        Secret(
            name=PUBLIC_KEY,
            kind="wireguard_public_key",
            signed_by=KEY,
            roles=(Role.GATEWAY,),
            to="/etc/wireguard/keys/{site}.pub",
            per_site=True,
            of_others=True,
            reloads=UNIT,
        ),
    ),
    # Not whether another site answers: a site that is cut off boots all the same.
    health=(UnitActive(unit=UNIT), CommandSucceeds(command=(PROGRAM, "keys"))),
)
