"""Debian's docker-registry, started from the rendered file; only addresses and folders are rewritten."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.server
import json
import os
import re
import ssl
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from constructs_lib.components.consul import AUTHORITY_PATH
from constructs_lib.components.model import Role
from constructs_lib.components.registry import REGISTRY
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.certificates import certificate_alone, new_authority, new_certificate
from constructs_lib.spec.model import ClusterSpec
from scripts.embedded_aws import free_port
from tests.conftest import need
from tests.nodes.clusters import WHOLE

PASSWORD = "not-a-real-password"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def planned(software: dict[str, object] | None = None, consul: int = 1, **registry: object) -> SitePlan:
    settings = json.loads(json.dumps(WHOLE))
    settings["sites"]["eu"] |= {"registry": registry, "consul": {"count": consul}}
    settings["software"] = {"components": {"registry": {"source": "apt"}} if software is None else software}
    return plan(ClusterSpec.model_validate(settings)).site("eu")


def files_of(site: SitePlan, number: int = 1) -> NodeFiles:
    return render(site, site.nodes_of(Role.CONSUL)[number - 1])


class Registry:
    """The registry of a Consul node below `folder`."""

    def __init__(
        self,
        folder: Path,
        files: NodeFiles | None = None,
        authority: str = "",
        others: Mapping[str, str] = {},
    ) -> None:
        """`others`: what stands in rendered files → what is here instead of it."""
        self.folder, self.files, self.others = folder, files or files_of(planned()), others
        self.port, self.metrics = free_port(), free_port()
        self.program: Path | None = None
        self.process: subprocess.Popen[bytes] | None = None
        authority = authority or new_authority("cluster_authority")
        for path in ("etc/registry", "run/registry", "srv/data/registry", "doubles"):
            (folder / path).mkdir(parents=True)
        self.put("/etc/authority.crt", certificate_alone(authority))
        self.put("/etc/registry/registry.pem", new_certificate(authority, ["registry.service.consul"]))
        self.put("/etc/registry/password", PASSWORD)
        self.put("/etc/registry/registry.yml", self.text("/etc/registry/registry.yml"))
        self.put("/doubles/chgrp", "#!/bin/sh\n# Double of chgrp: there is no group registry here.\n").chmod(
            0o755
        )
        self.context = ssl.create_default_context(cadata=certificate_alone(authority))

    def text(self, path: str) -> str:
        """A rendered file with this machine's places and ports."""
        text = self.files.file(path).content
        for name, place in self.others.items():
            text = text.replace(name, place)
        text = text.replace(AUTHORITY_PATH, "/etc/authority.crt")
        text = re.sub(r"(?<![\w/])/(etc|run|srv)/", rf"{self.folder}/\1/", text)
        return text.replace("addr: :5000", f"addr: 127.0.0.1:{self.port}").replace(
            ":5001", f":{self.metrics}"
        )

    def put(self, path: str, text: str) -> Path:
        place = self.folder / path.lstrip("/")
        place.write_text(text)
        return place

    def complete(self) -> None:
        """Run the unit's ExecStartPre."""
        self.run("/usr/local/libexec/registry-config", check=True)

    def run(self, script: str, *words: str, check: bool = False) -> subprocess.CompletedProcess[str]:
        """Run a script of the node, and whatever scripts it runs."""
        environment = os.environ | {"PATH": f"{self.folder / 'doubles'}:{os.environ['PATH']}"}
        return subprocess.run(
            ["sh", "-c", self.text(script), script, *words],
            check=check,
            capture_output=True,
            text=True,
            env=environment,
            timeout=180,
        )

    def start(self) -> None:
        self.complete()
        program = self.program or need("docker-registry")
        command = [str(program), "serve", str(self.folder / "run/registry/registry.yml")]
        unit = self.text("/etc/systemd/system/docker-registry.service")
        given = dict(word.split("=", 1) for word in re.findall(r"(?m)^Environment=(\S+)$", unit))
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | given)
        end = time.monotonic() + 180
        # The port of its health is open before that of the images.
        while self.health() != 200 or not self.listens():
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.1)

    def stop(self) -> None:
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=180)

    def health(self) -> int:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.metrics}/debug/health", timeout=5) as answer:
                return int(answer.status)
        except OSError:
            return 0

    def listens(self) -> bool:
        try:
            return self.ask("GET", "/v2/", password=None)[0] == 401
        except OSError:
            return False

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        password: str | None = PASSWORD,
        **headers: str,
    ) -> tuple[int, Any]:
        url = path if path.startswith("https:") else f"https://localhost:{self.port}{path}"
        request = urllib.request.Request(url, body, method=method)
        if password is not None:
            word = base64.b64encode(f"cluster:{password}".encode()).decode()
            request.add_header("Authorization", f"Basic {word}")
        for name, value in headers.items():
            request.add_header(name.replace("_", "-"), value)
        handlers = (urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context))
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=180) as answer:
                return answer.status, answer.headers
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.headers

    def push_blob(self, name: str, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        _, headers = self.ask("POST", f"/v2/{name}/blobs/uploads/")
        place = f"{headers['Location']}&digest={digest}"
        assert self.ask("PUT", place, content, Content_Type="application/octet-stream")[0] == 201
        return digest

    def push_image(self, name: str) -> str:
        """An image of one layer; the layer's digest."""
        layer, config = f"the layer of {name}".encode(), b"{}"
        described = [
            {"mediaType": kind, "size": len(content), "digest": self.push_blob(name, content)}
            for kind, content in (
                ("application/vnd.docker.container.image.v1+json", config),
                ("application/vnd.docker.image.rootfs.diff.tar.gzip", layer),
            )
        ]
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": described[0],
            "layers": described[1:],
        }
        body = json.dumps(manifest).encode()
        assert self.ask("PUT", f"/v2/{name}/manifests/1", body, Content_Type=MANIFEST)[0] == 201
        return str(described[1]["digest"])


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
