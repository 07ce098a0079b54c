from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from constructs_lib.components.consul import AUTHORITY_PATH
from constructs_lib.components.docker import DOCKER
from constructs_lib.components.model import AptPackages, Role
from constructs_lib.components.registry import REGISTRY
from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.generation import SecretSource, manifest
from constructs_lib.nodes.health import checks_of
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import PoolPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import SMALL, WHOLE, nodes, site


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


def test_containers_resolve_names_where_systemd_resolved_listens_for_them() -> None:
    planned = site("whole")
    [bridge] = [str(daemon("whole")["bip"]).partition("/")[0]]

    assert daemon("whole")["dns"] == [bridge]
    for node in (planned.nodes_of(Role.MASTER)[0], planned.pools[0]):
        files = render(planned, node)
        drop_in = files.file("/etc/systemd/resolved.conf.d/clustermesos-consul.conf").content
        assert f"DNSStubListenerExtra={bridge}\n" in drop_in
        firewall = files.file("/etc/clustermesos/firewall.nft").content
        for protocol in ("tcp", "udp"):
            assert f'iifname {{ "docker0", "br-*" }} {protocol} dport 53 accept' in firewall


def test_a_node_without_docker_offers_no_resolver_to_containers() -> None:
    planned = site("whole")
    files = render(planned, planned.nodes_of(Role.EDGE)[0])

    assert "Extra" not in files.file("/etc/systemd/resolved.conf.d/clustermesos-consul.conf").content
    assert "dport 53" not in files.file("/etc/clustermesos/firewall.nft").content


def log_in(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the rendered script below `root`."""
    planned = site("small")
    script = root / "docker-login"
    text = render(planned, planned.pools[0]).file("/usr/local/libexec/docker-login").content
    script.write_text(shipped("docker-login", text))
    (root / "etc/docker").mkdir(parents=True, exist_ok=True)
    (root / "etc/docker/registry-password").write_text("not-a-real-password")
    return subprocess.run(
        [sys.executable, str(script), str(root)], capture_output=True, text=True, check=False
    )


def test_nobody_but_root_enters_the_directory_where_containerd_keeps_containers_environments() -> None:
    planned = site("whole")

    for node in (planned.nodes_of(Role.MASTER)[0], planned.nodes_of(Role.CONSUL)[0], planned.pools[0]):
        [kept] = [one for one in render(planned, node).directories if one.path == "/var/lib/containerd"]
        assert (oct(kept.mode), kept.owner) == ("0o700", "root")


def test_the_login_is_private_and_leaves_others_as_they_are(tmp_path: Path) -> None:
    config = tmp_path / "root/.docker/config.json"
    config.parent.mkdir(parents=True)
    config.write_text('{"auths": {"ghcr.io": {"auth": "eA=="}}}')
    config.chmod(0o644)

    done = [log_in(tmp_path), log_in(tmp_path)]

    assert [(one.returncode, one.stdout + one.stderr) for one in done] == [(0, ""), (0, "")]
    assert config.stat().st_mode & 0o777 == 0o600
    auths = json.loads(config.read_text())["auths"]
    assert auths["ghcr.io"] == {"auth": "eA=="}
    [registry] = auths.keys() - {"ghcr.io"}
    assert registry == f"registry.service.consul:{REGISTRY.port('https').number}"
    assert base64.b64decode(auths[registry]["auth"]) == b"cluster:not-a-real-password"


def test_the_registry_and_the_cache_are_trusted_by_the_clusters_authority(tmp_path: Path) -> None:
    assert log_in(tmp_path).returncode == 0

    for port in ("https", "cache"):
        host = f"registry.service.consul:{REGISTRY.port(port).number}"
        link = tmp_path / "etc/docker/certs.d" / host / "ca.crt"
        assert str(link.readlink()) == AUTHORITY_PATH


def test_the_engine_comes_pinned_from_its_own_repository_with_the_one_trusted_key() -> None:
    planned = site("small")
    [packages] = [p for p in render(planned, planned.pools[0]).packages if p.component == "docker"]

    assert isinstance(DOCKER.software, AptPackages)
    assert packages.names == ("docker-ce", "docker-ce-cli", "containerd.io")
    assert packages.version == "28.5"
    assert packages.repository is not None
    assert packages.repository.uri == "https://download.docker.com/linux/{distribution}"
    assert len(packages.repository.fingerprint) == 40


def test_the_distributions_engine_is_held_too_for_its_upgrade_would_end_all_tasks() -> None:
    software = {"components": {name: {"source": "apt"} for name in ("docker", "registry", "zookeeper")}}
    planned = plan(ClusterSpec.model_validate(SMALL | {"software": software})).site("eu")
    for node in nodes(planned):
        packages: Any = manifest(render(planned, node), SecretSource(command="cat"))["packages"]
        has_docker = isinstance(node, PoolPlan) or node.role in DOCKER.roles
        wanted = [{"component": "docker", "names": ["docker.io"], "hold": True}] if has_docker else []
        assert [one for one in packages if "hold" in one] == wanted


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
    assert planned.software_mirrors.apt_mirror == "http://mirror.example.org/ubuntu"
    [packages] = [p for p in render(planned, planned.pools[0]).packages if p.component == "docker"]

    assert packages.repository is not None
    assert str(packages.repository.uri).startswith("https://download.docker.com/")


def test_it_downloads_through_the_proxy_but_reaches_the_site_directly() -> None:
    planned = plan(ClusterSpec.model_validate(WHOLE)).site("eu")
    drop_in = render(planned, planned.nodes_of(Role.MASTER)[0]).file(
        "/etc/systemd/system/docker.service.d/proxy.conf"
    )

    assert '"HTTPS_PROXY=http://proxy.example.org:3128"' in drop_in.content
    assert "NO_PROXY=127.0.0.1,localhost,.consul,10.20.0.0/16" in drop_in.content
    small = site("small")
    assert not any(file.path.endswith("proxy.conf") for file in render(small, small.pools[0]).files)


DOCKER_DOUBLE = """#!/bin/sh
# Double of docker: writes down its calls; a prune makes the disk as full as `after` says.
echo "docker $*" >>"$DOUBLES/calls"
[ ! -e "$DOUBLES/down" ] || { echo "Cannot connect to the Docker daemon" >&2; exit 1; }
[ "$1" != info ] || echo "$DOUBLES"
[ "$1 $2" != "image prune" ] || cp "$DOUBLES/after" "$DOUBLES/used"
"""
DF_DOUBLE = """#!/bin/sh
# Double of df: as full as `used` says.
[ "$*" = "--output=pcent $DOUBLES" ] || exit 64
printf 'Use%%\\n %s%%\\n' "$(cat "$DOUBLES/used")"
"""


def collect(folder: Path, used: int, after: int = 0, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run an agent's rendered script on a disk that is `used` percent full."""
    planned = plan(ClusterSpec.model_validate(WHOLE | {"nodes": settings})).site("eu")
    script = folder / "docker-image-gc"
    script.write_text(render(planned, planned.pools[0]).file("/usr/local/libexec/docker-image-gc").content)
    for name, double in (("docker", DOCKER_DOUBLE), ("df", DF_DOUBLE)):
        (folder / name).write_text(double)
        (folder / name).chmod(0o755)
    (folder / "used").write_text(str(used))
    (folder / "after").write_text(str(after))
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "DOUBLES": str(folder)}
    return subprocess.run(
        ["sh", str(script)], capture_output=True, text=True, check=False, env=environment, timeout=180
    )


def pruned(folder: Path) -> list[str]:
    return [call for call in (folder / "calls").read_text().splitlines() if "prune" in call]


def test_an_agent_whose_disk_has_room_keeps_its_images(tmp_path: Path) -> None:
    done = collect(tmp_path, used=80)

    assert (done.returncode, done.stdout) == (0, "")
    assert pruned(tmp_path) == []


def test_an_agent_whose_disk_fills_up_deletes_old_images_that_no_container_uses(tmp_path: Path) -> None:
    done = collect(tmp_path, used=81, after=40)

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{tmp_path} was 81 % full and is 40 % full\n"
    assert pruned(tmp_path) == ["docker image prune --all --force --filter until=168h"]


def test_what_is_full_for_another_reason_is_said_as_a_warning(tmp_path: Path) -> None:
    done = collect(tmp_path, used=95, after=95)

    assert done.returncode == 0
    assert done.stdout.splitlines()[1].startswith("<4>over 80 % is used by what is not an old image")


def test_from_when_on_and_how_old_are_settings(tmp_path: Path) -> None:
    assert collect(tmp_path, used=61, image_gc_above=60, image_gc_hours=24).returncode == 0
    assert pruned(tmp_path) == ["docker image prune --all --force --filter until=24h"]


def test_a_docker_that_does_not_answer_fails_the_unit(tmp_path: Path) -> None:
    (tmp_path / "down").touch()

    assert collect(tmp_path, used=95).returncode != 0
    assert pruned(tmp_path) == []


def test_agents_alone_collect_images_by_a_timer() -> None:
    planned = site("whole")
    for node in nodes(planned):
        files = render(planned, node)
        units = [unit for stage in files.stages for unit in stage.units]
        assert ("docker-image-gc.timer" in units) is (files.role is Role.AGENT)
    unit = render(planned, planned.pools[0]).file("/etc/systemd/system/docker-image-gc.service").content
    assert "ExecStart=/usr/local/libexec/docker-image-gc\n" in unit


def test_an_engine_is_healthy_when_it_answers_and_not_because_its_unit_is_active(tmp_path: Path) -> None:
    check = checks_of(DOCKER)[-1]
    assert check == {"kind": "succeeds", "command": ["docker", "version", "-f", "{{.Server.Version}}"]}
