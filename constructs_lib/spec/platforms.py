"""What a platform can and another can't, for checks and plan: data, so that nothing asks which it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Platform:
    """A platform as cluster.yaml sees it. Its own settings stand under its name: `sites.eu.aws`."""

    title: str
    """As its own people write it."""
    example: str
    """The least of its own settings."""
    size: str | None
    """Its word for a machine's size by name; None where sizes have none."""
    mtu: int
    """Of a site's network where cluster.yaml gives none; with `own_mtu` what links count on."""
    own_mtu: bool
    """Whether networks there have an MTU of their own, which is known only once there is one."""
    widest_network: int
    """Prefix length of the largest network that a site may have."""
    kept_addresses: int
    """Addresses that it keeps for itself where agents are."""
    public_gateway: bool
    """Whether it gives the gateway a public address, where gateways of other sites can call."""
    routes_on_nodes: bool
    """Whether each node keeps the routes to other sites itself; else the site's network has them."""
    plans_agents: bool
    """Whether agents have planned addresses; else the platform gives them some."""
    cloud: Literal["private", "public"]
    """Whose machines they usually are; `cloud` of the site says otherwise."""
    time_server: str | None
    """Its own, which every machine reaches and which is asked first."""
    time_pool: str
    """Where further sources of time are."""
    not_here: Mapping[str, str] = field(default_factory=dict)
    """Settings of a pool or role that make no sense there → what is expected instead."""


PLATFORMS: Mapping[str, Platform] = {
    "aws": Platform(
        title="AWS",
        example="the region: `aws: {region: eu-west-3}`",
        size="instance_type",
        mtu=1500,
        own_mtu=False,
        widest_network=16,
        kept_addresses=5,
        public_gateway=True,
        routes_on_nodes=False,
        plans_agents=False,
        cloud="public",
        time_server="169.254.169.123",
        time_pool="time.aws.com",
        not_here={
            "flavor": "instance_type: AWS has no flavors",
            "load_balancer": "none: on AWS a load balancer is always there",
        },
    ),
    "openstack": Platform(
        title="OpenStack",
        example="the cloud's own words: `openstack: {external_network: public, image: ubuntu-24.04}`",
        size="flavor",
        # What is left on a network of VXLAN or Geneve over 1500, with room for the link between sites.
        mtu=1400,
        own_mtu=True,
        widest_network=8,
        kept_addresses=5,
        public_gateway=True,
        routes_on_nodes=False,
        plans_agents=True,
        cloud="private",
        time_server=None,
        time_pool="pool.ntp.org",
        not_here={
            "instance_type": "flavor: instance types are AWS'",
            "spot": "no spot: OpenStack has no cheaper machines",
        },
    ),
    "libvirt": Platform(
        title="libvirt",
        example="the hosts and the image: `libvirt: {hosts: [qemu:///system], image: {url: …, sha256: …}}`",
        size=None,
        mtu=1500,
        own_mtu=False,
        widest_network=8,
        kept_addresses=5,
        public_gateway=False,
        routes_on_nodes=True,
        plans_agents=True,
        cloud="private",
        time_server=None,
        time_pool="pool.ntp.org",
        not_here={
            "instance_type": "cpus and memory_gib: instance types are AWS'",
            "flavor": "cpus and memory_gib: flavors are OpenStack's",
            "spot": "no spot: libvirt has no cheaper machines",
            "load_balancer": "none: libvirt has no load balancers",
            "min": "count: nothing scales machines on libvirt",
            "max": "count: nothing scales machines on libvirt",
        },
    ),
}
