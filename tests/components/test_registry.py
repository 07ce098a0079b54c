"""The private registry: logins, images, garbage collection, and who runs it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.components.registry import REGISTRY
from constructs_lib.nodes.render import render
from tests.components.registry_here import (
    MANIFEST,
    PASSWORD,
    SOFTWARE,
    Registry,
    files_of,
    planned,
    program_of,
)
from tests.conftest import need


@pytest.fixture(params=SOFTWARE)
def registry(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Registry]:
    """By the registry of the nodes' image, and by the distribution's."""
    need("htpasswd")
    registry = Registry(tmp_path, files_of(planned(software=SOFTWARE[request.param])))
    registry.program = program_of(request.param)
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()


def test_nobody_gets_in_without_the_password(registry: Registry) -> None:
    assert registry.ask("GET", "/v2/", password=None)[0] == 401
    assert registry.ask("GET", "/v2/", password="wrong")[0] == 401
    assert registry.ask("GET", "/v2/")[0] == 200


def test_the_passwords_hash_is_bcrypt_and_the_password_is_in_no_file_beside_its_own(
    registry: Registry,
) -> None:
    hashed = registry.folder / "run/registry/users"

    assert hashed.read_text().startswith("cluster:$2y$")
    assert hashed.stat().st_mode & 0o007 == 0
    assert not any(PASSWORD in file.content for file in registry.files.files)


def test_an_image_is_pushed_and_pulled(registry: Registry) -> None:
    layer = registry.push_image("shop/web")

    assert registry.ask("GET", "/v2/shop/web/manifests/1", Accept=MANIFEST)[0] == 200
    assert registry.ask("GET", f"/v2/shop/web/blobs/{layer}")[0] == 200


@pytest.mark.slow
def test_an_image_survives_a_restart_and_the_metrics_are_there(registry: Registry) -> None:
    layer = registry.push_image("shop/web")
    registry.stop()
    registry.start()

    assert registry.ask("GET", f"/v2/shop/web/blobs/{layer}")[0] == 200
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{registry.metrics}/metrics", timeout=60) as answer:
        assert b"registry_" in answer.read()


@pytest.mark.slow
def test_while_garbage_is_collected_images_are_pulled_and_none_is_pushed(registry: Registry) -> None:
    registry.push_image("shop/web")
    registry.stop()
    registry.put("/run/registry-readonly", "")
    registry.start()

    assert registry.ask("GET", "/v2/shop/web/manifests/1", Accept=MANIFEST)[0] == 200
    assert registry.ask("POST", "/v2/shop/web/blobs/uploads/")[0] == 405
    (registry.folder / "run/registry-readonly").unlink()
    registry.stop()
    registry.start()
    assert registry.ask("POST", "/v2/shop/web/blobs/uploads/")[0] == 202


@pytest.mark.slow
def test_garbage_collection_deletes_what_no_image_names_and_nothing_else(registry: Registry) -> None:
    kept = registry.push_image("shop/web")
    lost = registry.push_blob("shop/web", b"a layer whose push was given up")

    done = registry.collect()

    assert done.returncode == 0, done.stderr
    assert registry.restarts.read_text().splitlines() == [
        "try-restart docker-registry read-only",
        "try-restart docker-registry",
    ]
    registry.stop()
    registry.start()
    assert registry.ask("GET", f"/v2/shop/web/blobs/{kept}")[0] == 200
    assert registry.ask("GET", f"/v2/shop/web/blobs/{lost}")[0] == 404


def test_garbage_collection_waits_for_the_data_volume() -> None:
    unit = files_of(planned()).file("/etc/systemd/system/registry-gc.service").content

    assert f"RequiresMountsFor={REGISTRY.state}\n" in unit


def test_where_nothing_was_pushed_yet_there_is_nothing_to_collect(registry: Registry) -> None:
    done = registry.collect()

    assert (done.returncode, done.stderr) == (0, "")
    assert not registry.restarts.exists()


def test_a_collection_that_fails_leaves_the_registry_writable(registry: Registry) -> None:
    registry.push_image("shop/web")
    registry.put("/etc/registry/registry.yml", "nonsense")

    assert registry.collect().returncode != 0
    assert not (registry.folder / "run/registry-readonly").exists()
    assert registry.restarts.read_text().splitlines()[-1] == "try-restart docker-registry"


def test_the_cache_runs_where_it_is_asked_for_and_every_docker_asks_it_first() -> None:
    site = planned(cache=True)
    node = files_of(site)

    assert "remoteurl" in node.file("/etc/registry/cache.yml").content
    assert "docker-registry-cache.service" in next(s for s in node.stages if s.component == "registry").units
    daemon = json.loads(render(site, site.pools[0]).file("/etc/docker/daemon.json").content)
    assert daemon["registry-mirrors"] == [f"https://registry.service.consul:{REGISTRY.port('cache').number}"]


def test_without_a_cache_none_runs_and_none_is_asked() -> None:
    node = files_of(planned())

    assert not any("cache" in file.path for file in node.files)
    assert not any("docker-registry-cache.service" in stage.units for stage in node.stages)
    assert json.loads(node.file("/etc/docker/daemon.json").content)["registry-mirrors"] == []


def test_of_three_consul_nodes_the_first_has_the_registry_and_its_certificate() -> None:
    site = planned(consul=3)

    first, second = files_of(site, 1), files_of(site, 2)
    assert any(stage.component == "registry" for stage in first.stages)
    assert not any(stage.component == "registry" for stage in second.stages)
    assert not any("/etc/registry/" in file.path for file in second.files)
    assert not any("/etc/registry/" in secret.path for secret in second.secrets)
    services = json.loads(first.file("/etc/consul.d/consul.json").content)["services"]
    assert [service["name"] for service in services] == ["registry"]
    assert "services" not in json.loads(second.file("/etc/consul.d/consul.json").content)


def test_from_an_image_it_runs_as_its_own_user_from_the_same_file() -> None:
    unit = files_of(planned(software={})).file("/etc/systemd/system/docker-registry.service").content

    assert "registry:3.1.0 serve /run/registry/registry.yml" in unit
    assert "--user 5000:5000" in unit
    assert "RequiresMountsFor=/srv/data/registry" in unit
