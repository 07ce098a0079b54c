"""More clusters of several sites than the golden ones: each platform as the home of each other."""

from __future__ import annotations

from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from tests.hybrid.clusters import CASES, Json, settings

HERE = "3.39.0"
"""The AWS plugin at hand."""
_AWS = {"platform": "aws", "aws": {"region": "eu-west-3"}, "network": "10.20.0.0/16"}
_OPENSTACK = {
    "platform": "openstack",
    "openstack": {"external_network": "public", "image": "ubuntu-24.04"},
    "network": "10.30.0.0/16",
}
_LIBVIRT = {
    "platform": "libvirt",
    "libvirt": {
        "hosts": ["qemu+ssh://root@kvm1.example.org/system"],
        "image": {"url": "https://images.example.org/noble.img", "sha256": "9b2f1d6c" * 8},
    },
    "network": "10.40.0.0/16",
}
_HOST = "10.40.0.1/32"
_HOME = {"masters": {"count": 3}}
_AWAY = {"agents": {"general": {"count": 2}}}
_MORE: dict[str, Json] = {
    "openstack-home-aws-libvirt": {"dc1": _OPENSTACK | _HOME, "eu": _AWS | _AWAY, "kvm": _LIBVIRT | _AWAY},
    "libvirt-home-aws-openstack": {"kvm": _LIBVIRT | _HOME, "eu": _AWS | _AWAY, "dc1": _OPENSTACK | _AWAY},
    "openstack-home-openstack": {
        "dc1": _OPENSTACK | _HOME,
        "dc2": _OPENSTACK | _AWAY | {"network": "10.50.0.0/16"},
    },
}
NAMES = [*CASES, *_MORE]


def linked(name: str) -> Json:
    """What the cluster.yaml of one of `NAMES` says, for the AWS plugin at hand."""
    given = settings(name) if name in CASES else _more(name)
    sites = {
        site: {**told, "aws": {**told["aws"], "provider_version": HERE}} if "aws" in told else told
        for site, told in given["sites"].items()
    }
    return {**given, "sites": sites}


def _more(name: str) -> Json:
    """With the address that a site on libvirt is logged in to from, its host's."""
    admin = settings("hybrid")["admin"]
    hosts = [_HOST] if "libvirt" in name else []
    return {
        "name": "demo",
        "sites": _MORE[name],
        "admin": {**admin, "networks": [*admin["networks"], *hosts]},
    }


def platforms(name: str) -> dict[str, str]:
    """Site → its platform."""
    return {site: told["platform"] for site, told in linked(name)["sites"].items()}


def planned(name: str) -> ClusterPlan:
    """The plan of one of `NAMES`."""
    return plan(from_dict(linked(name)))
