"""What of a cluster.yaml holds in a lab, and what is left out there by name. No machine is booted here."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from constructs_lib.errors import LabError
from constructs_lib.lab.overrides import read_overrides
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.spec.model import ClusterSpec
from tests.lab.conftest import CLUSTER


def cluster(*, site: dict[str, Any] | None = None, **settings: Any) -> ClusterSpec:
    """The drills' cluster with further settings."""
    data = yaml.safe_load(CLUSTER.read_text()) | settings
    data["sites"]["eu"] |= site or {}
    return from_dict(data)


LEADS_OUT = cluster(
    software={
        "proxy": "http://proxy.example.org:3128",
        "apt_mirror": "http://mirror.example.org/debian",
        "apt_security_mirror": "http://mirror.example.org/debian-security",
        "chronos": {"enabled": False, "version": "v3.0.1", "mirror": "registry.example.org"},
        "zookeeper": {"version": "3.9.5", "sha256": "0" * 64},
        "node_exporter": {"source": "preinstalled"},
        "consul": {"fingerprint": "AB" * 20},
    },
    site={
        "agents": {"general": {"count": 1, "shared": {"source": "10.66.0.5:/export"}}},
        "registry": {"bucket": "images", "region": "eu-west-1", "cache": True},
    },
    cloud_config={
        "agent": {"packages": ["nfs-common"], "apt": {"conf": 'APT::Keep "1";'}, "timezone": "Europe/Paris"}
    },
)
JOINS = cluster(site={"masters": {"existing": ["10.66.9.1"]}, "consul": {"existing": ["10.66.9.2"]}})


def test_what_is_switched_off_stays_off_and_what_holds_in_a_lab_too_is_kept() -> None:
    bent = read_overrides().apply(LEADS_OUT)

    assert plan(bent).site("eu").software["chronos"].enabled is False
    assert bent.sites["eu"].registry.cache is True
    assert bent.cloud_config["agent"] == {"timezone": "Europe/Paris"}  # type: ignore[index]  # a Role is a str
    assert bent.admin == LEADS_OUT.admin


def test_what_leads_out_of_a_lab_is_left_out_and_named_with_what_holds_instead() -> None:
    overrides = read_overrides()

    bent = overrides.apply(LEADS_OUT)

    site = plan(bent).site("eu")
    assert site.software["zookeeper"].version is None
    assert site.software["node_exporter"].source == "apt"
    assert (site.registry.bucket, bent.sites["eu"].agents["general"].shared) == (None, None)
    assert (bent.software.proxy, bent.software.apt_mirror) == (None, None)
    assert sorted(overrides.left_out(LEADS_OUT)) == [
        "cloud_config.agent.apt: left out, packages come from the lab itself",
        "cloud_config.agent.packages: left out, the lab has the packages of its image alone",
        "sites.eu.agents.general.shared: left out, nothing is mounted at /srv/shared",
        "sites.eu.registry.bucket: left out, images lie on the data volume",
        "sites.eu.registry.region: left out, images lie on the data volume",
        "software.apt_mirror: left out, packages come from the lab itself",
        "software.apt_security_mirror: left out, packages come from the lab itself",
        "software.chronos.mirror: left out, packages come from the lab itself, images from nowhere",
        "software.chronos.version: left out, every component has the version that the lab has",
        "software.consul.fingerprint: left out, packages come from the lab itself",
        "software.node_exporter.source: left out, every component runs from what the lab has",
        "software.proxy: left out, no proxy is needed, packages come from the lab itself",
        "software.zookeeper.sha256: left out, no image is fetched",
        "software.zookeeper.version: left out, every component has the version that the lab has",
    ]


def test_a_site_that_joins_what_runs_elsewhere_gets_masters_and_consul_nodes_in_a_lab() -> None:
    site = plan(read_overrides().apply(JOINS)).site("eu")

    assert {"master-1", "master-2", "master-3", "consul-1"} <= {node.name for node in site.nodes}


def test_a_cluster_that_a_lab_can_offer_has_nothing_left_out() -> None:
    spec = cluster()

    assert read_overrides().left_out(spec) == []
    assert read_overrides().apply(spec).sites == spec.sites


def test_each_setting_that_is_left_out_is_one_of_cluster_yaml() -> None:
    overrides = read_overrides()
    named = [line.partition(":")[0] for spec in (LEADS_OUT, JOINS) for line in overrides.left_out(spec)]

    for pattern in overrides.unset:
        assert any(fnmatch(name, pattern) for name in named), pattern


def test_the_labs_overrides_are_printed_one_by_one() -> None:
    overrides = read_overrides()
    assert "zookeeper: source apt" in overrides.lines()
    assert plan(overrides.apply(cluster())).site("eu").software["zookeeper"].source == "apt"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("without: [teapot]", "unknown component teapot; known: "),
        ("software: {teapot: {source: apt}}", "unknown component teapot; known: "),
        ("sofware: {}", "got ['sofware'], expected only"),
        ("unset: [software.proxy]", "unset: got ['software.proxy'], expected settings, each with"),
        ("[", "can't be read"),
    ],
)
def test_overrides_that_are_not_understood_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "overrides.yaml"
    path.write_text(text)
    with pytest.raises(LabError, match=said.replace("[", r"\[").replace("]", r"\]")) as refused:
        read_overrides(path)
    assert str(path) in str(refused.value)
