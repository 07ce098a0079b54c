from __future__ import annotations

import json

from constructs_lib.components.docker import DOCKER
from constructs_lib.components.model import AptPackages, Role
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import SMALL, WHOLE, site


def daemon(case: str) -> dict[str, object]:
    planned = site(case)
    settings: dict[str, object] = json.loads(
        render(planned, planned.pools[0]).file("/etc/docker/daemon.json").content
    )
    return settings


def test_containers_get_the_sites_mtu() -> None:
    assert daemon("small")["mtu"] == 1500
    assert daemon("whole")["mtu"] == 8951


def test_logs_are_bounded_and_a_restart_leaves_no_container_behind() -> None:
    assert daemon("small")["log-driver"] == "local"
    assert daemon("small")["log-opts"] == {"max-file": "3", "max-size": "20m"}
    assert daemon("small")["live-restore"] is False
    assert daemon("small")["iptables"] is True


def test_the_engine_comes_pinned_from_its_own_repository_with_the_one_trusted_key() -> None:
    planned = site("small")
    [packages] = [p for p in render(planned, planned.pools[0]).packages if p.component == "docker"]

    assert isinstance(DOCKER.software, AptPackages)
    assert packages.names == ("docker-ce", "docker-ce-cli", "containerd.io")
    assert packages.version == "28.5"
    assert packages.repository is not None
    assert packages.repository.uri == "https://download.docker.com/linux/{distribution}"
    assert len(packages.repository.fingerprint) == 40


def test_a_mirror_of_its_repository_replaces_the_address_and_keeps_the_key() -> None:
    mirrored = {"components": {"docker": {"mirror": "https://mirror.example.org/docker/"}}}
    planned = plan(ClusterSpec.model_validate(SMALL | {"software": mirrored})).site("eu")
    [packages] = [p for p in render(planned, planned.pools[0]).packages if p.component == "docker"]

    assert isinstance(DOCKER.software, AptPackages)
    assert packages.repository is not None
    assert packages.repository.uri == "https://mirror.example.org/docker"
    assert packages.repository.fingerprint == DOCKER.software.repository.fingerprint  # type: ignore[union-attr]


def test_the_distributions_mirror_is_not_taken_for_dockers() -> None:
    planned = site("whole")
    assert planned.software["docker"].mirror == "http://mirror.example.org/ubuntu"
    [packages] = [p for p in render(planned, planned.pools[0]).packages if p.component == "docker"]

    assert packages.repository is not None
    assert str(packages.repository.uri).startswith("https://download.docker.com/")


def test_it_downloads_through_the_proxy_but_reaches_the_site_directly() -> None:
    planned = plan(ClusterSpec.model_validate(WHOLE)).site("eu")
    drop_in = render(planned, planned.nodes_of(Role.MASTER)[0]).file(
        "/etc/systemd/system/docker.service.d/proxy.conf"
    )

    assert '"HTTPS_PROXY=http://proxy.example.org:3128"' in drop_in.content
    assert "NO_PROXY=127.0.0.1,localhost,10.20.0.0/16" in drop_in.content
    small = site("small")
    assert not any(file.path.endswith("proxy.conf") for file in render(small, small.pools[0]).files)
