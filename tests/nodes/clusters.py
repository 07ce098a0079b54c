"""The clusters whose node texts are looked at: small ones, one with everything, and some of several sites."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from constructs_lib.nodes.cloud_init import SecretSource
from constructs_lib.nodes.model import NodeFile
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX ops@example.org"

SMALL = {
    "name": "small",
    "admin": {"networks": ["203.0.113.0/24"], "ssh_keys": [KEY]},
    "sites": {
        "eu": {
            "platform": "aws",
            "aws": {"region": "eu-west-3"},
            "network": "10.30.0.0/20",
            "masters": {"count": 1, "memory_gib": 4},
            "agents": {"general": {"count": 1}},
        }
    },
}

WHOLE = {
    "name": "whole",
    "admin": {"networks": ["203.0.113.0/24", "198.51.100.7/32"], "ssh_keys": [KEY], "user": "deploy"},
    "software": {"apt_mirror": "http://mirror.example.org/ubuntu", "proxy": "http://proxy.example.org:3128"},
    "sites": {
        "eu": {
            "platform": "aws",
            "aws": {"region": "eu-west-3"},
            "network": "10.20.0.0/16",
            "zones": 3,
            "mtu": 8951,
            "masters": {"count": 3},
            "consul": {"count": 1},
            "agents": {"general": {"count": 3}, "batch": {"min": 0, "max": 20, "spot": True}},
            "edge": {"count": 1, "public": True, "allow": ["192.0.2.0/24"]},
        }
    },
    "cloud_config": {"agent": {"packages": ["nfs-common"], "timezone": "Europe/Paris"}},
}

HYBRID: dict[str, Any] = {
    "name": "hybrid",
    "admin": {"networks": ["203.0.113.0/24"], "ssh_keys": [KEY]},
    "software": {"components": {"registry": {"source": "apt"}}},
    "sites": {
        "eu": {
            "platform": "aws",
            "aws": {"region": "eu-west-3"},
            "network": "10.20.0.0/16",
            "masters": {"count": 1},
            "agents": {"general": {"count": 1}},
        },
        "dc1": {
            "platform": "openstack",
            "network": "10.40.0.0/16",
            "openstack": {"external_network": "public", "image": "ubuntu-24.04"},
            "agents": {"private": {"count": 1}},
        },
    },
}
"""A home site, and one beside it that calls it."""

RELAYED: dict[str, Any] = {
    **HYBRID,
    "name": "relayed",
    "sites": {
        "eu": HYBRID["sites"]["eu"],
        **{
            name: {**HYBRID["sites"]["dc1"], "network": network, "link": {"reachable": False}}
            for name, network in {"dc1": "10.40.0.0/16", "dc2": "10.50.0.0/16"}.items()
        },
    },
}
"""Two sites that nobody can call: the home site passes on what they say to each other."""

PLAIN_HOSTS: dict[str, Any] = {
    **HYBRID,
    "name": "plain",
    "admin": {"networks": ["10.40.0.1/32"], "ssh_keys": [KEY]},
    "sites": {
        "eu": HYBRID["sites"]["eu"],
        "dc1": {
            "platform": "libvirt",
            "network": "10.40.0.0/16",
            "libvirt": {
                "hosts": ["qemu:///system"],
                "image": {"path": "/srv/noble.qcow2", "sha256": "1" * 64},
            },
            "agents": {"private": {"count": 1}},
        },
    },
}
"""The same with a site whose network can't be told any routes: its nodes keep them."""

CASES = {"small": SMALL, "whole": WHOLE}


OWN: dict[str, dict[str, Any]] = {
    "aws": {"aws": {"region": "eu-west-3"}},
    "openstack": {"openstack": {"external_network": "public", "image": "ubuntu-24.04"}},
    "libvirt": {
        "libvirt": {
            "image": {"path": "/srv/images/bookworm.qcow2", "sha256": "9b2f1d6c" * 8},
            "bridge": {"name": "br0"},
        }
    },
}
"""Platform → what a site there says of it; a host or a zone of its own for each zone is added."""


def on(platform: str, spec: dict[str, Any]) -> SitePlan:
    """The site `eu` of `spec` as it would be on another platform."""
    changed = copy.deepcopy(spec)
    site = changed["sites"]["eu"]
    del site["aws"]
    site |= {"platform": platform, **copy.deepcopy(OWN[platform])}
    zones = range(site.get("zones", 1))
    if platform == "libvirt":
        site["libvirt"]["hosts"] = [f"qemu+sshcmd://kvm{number}/system" for number in zones]
    if platform == "openstack":
        site["openstack"]["availability_zones"] = [f"az{number}" for number in zones]
    for pool in site["agents"].values():
        if platform != "aws":
            pool.pop("spot", None)
        if platform == "libvirt" and "max" in pool:
            pool["count"] = pool.pop("max")
            del pool["min"]
    return plan(ClusterSpec.model_validate(changed)).site("eu")


SOURCE = SecretSource(
    command="/usr/local/lib/clustermesos/fetch-secret --prefix /demo/",
    files=(
        NodeFile(path="/usr/local/lib/clustermesos/fetch-secret", content="#!/bin/sh\nexit 1\n", mode=0o755),
    ),
    packages=("curl",),
)
"""Stands for a platform's way to hand out secrets."""


def site(case: str) -> SitePlan:
    """The planned site `eu` of a case."""
    return plan(ClusterSpec.model_validate(CASES[case])).site("eu")


def nodes(planned: SitePlan) -> Iterator[NodePlan | PoolPlan]:
    """Everything that has a text of its own."""
    yield from planned.nodes
    yield from planned.pools
