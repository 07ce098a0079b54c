"""The private registry: logins, images, garbage collection, a cache of another one, and who runs it."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from constructs_lib.components.registry import REGISTRY
from constructs_lib.nodes.render import render
from constructs_lib.secrets.certificates import certificate_alone, new_authority, new_certificate
from scripts.embedded_aws import free_port
from tests.components.registry_here import MANIFEST, PASSWORD, Registry, files_of, planned
from tests.conftest import need


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[Registry]:
    need("docker-registry")
    need("htpasswd")
    registry = Registry(tmp_path)
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


def test_an_image_survives_a_restart_and_the_metrics_are_there(registry: Registry) -> None:
    layer = registry.push_image("shop/web")
    registry.stop()
    registry.start()

    assert registry.ask("GET", f"/v2/shop/web/blobs/{layer}")[0] == 200
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"http://127.0.0.1:{registry.metrics}/metrics", timeout=60) as answer:
        assert b"registry_" in answer.read()


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


def collect(registry: Registry) -> subprocess.CompletedProcess[str]:
    """Run registry-gc; systemctl writes down when the registry was read-only, runuser runs as we are."""
    flag = registry.folder / "run/registry-readonly"
    said = registry.folder / "restarts"
    registry.put(
        "/doubles/systemctl",
        f'#!/bin/sh\n# Double.\n[ -e {flag} ] && echo "$* read-only" >>{said} || echo "$*" >>{said}\n',
    ).chmod(0o755)
    registry.put("/doubles/runuser", '#!/bin/sh\n# Double.\nshift 3\nexec "$@"\n').chmod(0o755)
    environment = os.environ | {"PATH": f"{registry.folder / 'doubles'}:{os.environ['PATH']}"}
    script = registry.text("/usr/local/sbin/registry-gc")
    return subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=False, env=environment, timeout=180
    )


def test_garbage_collection_deletes_what_no_image_names_and_nothing_else(registry: Registry) -> None:
    kept = registry.push_image("shop/web")
    lost = registry.push_blob("shop/web", b"a layer whose push was given up")

    done = collect(registry)

    assert done.returncode == 0, done.stderr
    assert (registry.folder / "restarts").read_text().splitlines() == [
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
    done = collect(registry)

    assert (done.returncode, done.stderr) == (0, "")
    assert not (registry.folder / "restarts").exists()


def test_a_collection_that_fails_leaves_the_registry_writable(registry: Registry) -> None:
    registry.push_image("shop/web")
    registry.put("/etc/registry/registry.yml", "nonsense")

    assert collect(registry).returncode != 0
    assert not (registry.folder / "run/registry-readonly").exists()
    assert (registry.folder / "restarts").read_text().splitlines()[-1] == "try-restart docker-registry"


def test_images_may_lie_in_a_bucket_instead_of_on_the_volume() -> None:
    storage = yaml.safe_load(
        files_of(planned(bucket="shop-images")).file("/etc/registry/registry.yml").content
    )["storage"]

    assert storage["s3"]["bucket"] == "shop-images"
    assert storage["s3"]["region"] == "eu-west-3"
    assert "filesystem" not in storage


def test_the_cache_runs_where_it_is_asked_for_and_every_docker_asks_it_first() -> None:
    site = planned(cache=True)
    node = files_of(site)

    assert "remoteurl" in node.file("/etc/registry/cache.yml").content
    assert "docker-registry-cache.service" in next(s for s in node.stages if s.component == "registry").units
    daemon = json.loads(render(site, site.pools[0]).file("/etc/docker/daemon.json").content)
    assert daemon["registry-mirrors"] == [f"https://registry.service.consul:{REGISTRY.port('cache').number}"]


def test_the_cache_starts_from_its_file_and_answers_without_login(tmp_path: Path) -> None:
    program = need("docker-registry")
    hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), DockerHub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    authority, port, debug = new_authority("cluster_authority"), free_port(), free_port()
    (tmp_path / "cache.pem").write_text(new_certificate(authority, ["registry.service.consul"]))
    text = files_of(planned(cache=True)).file("/etc/registry/cache.yml").content
    for old, new in {
        "/etc/registry/": f"{tmp_path}/",
        "/srv/data/registry-cache": str(tmp_path),
        "https://registry-1.docker.io": f"http://127.0.0.1:{hub.server_port}",
        "addr: :5002": f"addr: 127.0.0.1:{port}",
        "127.0.0.1:5003": f"127.0.0.1:{debug}",
    }.items():
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "cache.yml").write_text(text)
    context = ssl.create_default_context(cadata=certificate_alone(authority))
    context.check_hostname = False
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([program, "serve", tmp_path / "cache.yml"], stdout=log, stderr=log)
    try:
        end, status = time.monotonic() + 180, 0
        while status != 200:
            assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
            with contextlib.suppress(OSError), opener.open(f"https://127.0.0.1:{port}/v2/", timeout=5) as got:
                status = got.status
            time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(timeout=180)
        hub.shutdown()
        hub.server_close()


class DockerHub(http.server.BaseHTTPRequestHandler):
    """Double of Docker Hub: it is there, and that is all."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


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
