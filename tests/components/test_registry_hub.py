"""The cache of Docker Hub: a real one from its rendered file, before a second registry in the Hub's place."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.secrets.certificates import new_authority, new_certificate
from scripts.embedded_aws import free_port
from tests.components.registry_here import MANIFEST, SOFTWARE, Registry, files_of, planned, program_of
from tests.conftest import need
from tests.lab.asking import LONG, until

pytestmark = pytest.mark.slow


class Cache:
    """The cache of a Consul node below `hub`'s folder; nobody logs in anywhere."""

    process: subprocess.Popen[bytes]

    def __init__(self, folder: Path, source: str) -> None:
        authority = new_authority("cluster_authority")
        files = files_of(planned(SOFTWARE[source], cache=True))
        self.port, debug = free_port(), free_port()
        self.hub = Registry(folder / "hub", files, authority)
        own = self.hub.folder / "etc/registry/registry.yml"
        own.write_text(re.sub(r"(?m)^auth: .*\n", "", own.read_text()))
        self.program = self.hub.program = program_of(source)
        self.hub.put("/etc/registry/cache.pem", new_certificate(authority, ["registry.service.consul"]))
        text = self.hub.text("/etc/registry/cache.yml")
        for old, new in {
            "https://registry-1.docker.io": f"https://localhost:{self.hub.port}",
            "addr: :5002": f"addr: 127.0.0.1:{self.port}",
            "127.0.0.1:5003": f"127.0.0.1:{debug}",
        }.items():
            assert old in text
            text = text.replace(old, new)
        self.config = self.hub.put("/etc/registry/cache.yml", text)
        self.data = self.hub.folder / "srv/data/registry-cache"
        self.data.mkdir()
        self.log = self.hub.folder / "cache.log"

    def run(self) -> None:
        """As its unit does."""
        trusts = {"SSL_CERT_FILE": str(self.hub.folder / "etc/authority.crt"), "OTEL_TRACES_EXPORTER": "none"}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "serve", self.config], stdout=log, stderr=log, env=os.environ | trusts
            )

    def start(self) -> None:
        self.run()
        end = time.monotonic() + 180
        while self.ask("/v2/") != 200:
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=180)

    def url(self, path: str) -> str:
        return f"https://localhost:{self.port}{path}"

    def ask(self, path: str) -> int:
        with contextlib.suppress(OSError):
            return self.hub.ask("GET", self.url(path), password=None, Accept=MANIFEST)[0]
        return 0

    def pulls(self, name: str, layer: str, reference: str = "1") -> bytes:
        """The layer, after the manifest; what was pulled is kept when this is done."""
        assert self.ask(f"/v2/{name}/manifests/{reference}") == 200, self.log.read_text()[-2000:]
        content = self.hub.content(self.url(f"/v2/{name}/blobs/{layer}"), None)
        # The cache of 2.8 answers first and writes after.
        links = self.data / f"docker/registry/v2/repositories/{name}/_layers" / layer.replace(":", "/")
        until(f"{links} is there", LONG, (links / "link").exists)
        return content


@pytest.fixture(params=SOFTWARE)
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Cache]:
    """By the registry of the nodes' image, and by the distribution's; Docker Hub answers."""
    need("htpasswd")
    made = Cache(tmp_path, request.param)
    made.hub.start()
    made.start()
    try:
        yield made
    finally:
        made.stop()
        made.hub.stop()


def test_an_image_is_pulled_through_the_cache_and_kept(cache: Cache) -> None:
    layer = cache.hub.push_image("library/web")

    assert cache.pulls("library/web", layer) == b"the layer of library/web"
    digest = layer.removeprefix("sha256:")
    kept = cache.data / f"docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
    assert kept.read_bytes() == b"the layer of library/web"


def test_what_was_pulled_is_served_while_docker_hub_is_away_and_the_rest_when_it_is_back(
    cache: Cache,
) -> None:
    layer, other = cache.hub.push_image("library/web"), cache.hub.push_image("library/api")
    cache.pulls("library/web", layer)
    head = cache.hub.ask("HEAD", "/v2/library/web/manifests/1", Accept=MANIFEST)
    digest = str(head[1]["Docker-Content-Digest"])

    cache.hub.stop()

    for reference in ("1", digest):
        assert cache.pulls("library/web", layer, reference) == b"the layer of library/web"
    assert cache.ask("/v2/library/api/manifests/1") in (404, 500, 503)

    cache.hub.start()
    assert cache.pulls("library/api", other) == b"the layer of library/api"


def test_a_cache_that_starts_while_docker_hub_is_away_ends_and_its_unit_starts_it_until_it_is_back(
    cache: Cache,
) -> None:
    layer = cache.hub.push_image("library/web")
    cache.pulls("library/web", layer)
    cache.stop()
    cache.hub.stop()
    unit = cache.hub.files.file("/etc/systemd/system/docker-registry-cache.service").content
    assert "Restart=always\n" in unit and "StartLimitIntervalSec=0\n" in unit

    cache.run()

    assert cache.process.wait(timeout=180) != 0
    cache.hub.start()
    cache.start()
    assert cache.pulls("library/web", layer) == b"the layer of library/web"


def test_nothing_is_pushed_to_it(cache: Cache) -> None:
    asked = cache.hub.ask("POST", cache.url("/v2/library/web/blobs/uploads/"), password=None)

    assert asked[0] == 405
