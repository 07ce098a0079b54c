"""The shell that fetches an image before a platform gets it, run against a server of this machine."""

from __future__ import annotations

import hashlib
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import need
from tests.libvirt import clusters as libvirt
from tests.openstack import clusters as openstack

IMAGE = b"an image\n" * 4096
DIGEST = hashlib.sha256(IMAGE).hexdigest()
# Each names an image by URL.
CASES: dict[str, Any] = {"openstack": (openstack, "optional"), "libvirt": (libvirt, "private")}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Where /noble.img, a way to it, one that breaks off, and nothing else are."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            code = {"/noble.img": 200, "/cut.img": 200, "/moved.img": 302}.get(self.path, 404)
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/noble.img")
            self.send_header("Content-Length", str(len(IMAGE) if code == 200 else 0))
            self.end_headers()
            if code == 200:
                self.wfile.write(IMAGE if self.path == "/noble.img" else IMAGE[:100])

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


@pytest.fixture(scope="module", params=CASES)
def fetch(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The provisioner that a platform's stack fetches its image with."""
    clusters, case = CASES[request.param]
    made = clusters.cluster_stack(clusters.site_plan(case))["resource"]["terraform_data"]
    (found, *_) = (body for name, body in made.items() if "_image" in name)
    command: dict[str, Any] = found["provisioner"][0]["local-exec"]
    return command


def run(fetch: dict[str, Any], folder: Path, source: str, digest: str = DIGEST) -> tuple[int, str]:
    """Its exit code and what it says."""
    need("curl")
    assert fetch["environment"] == {"SOURCE": "${each.value}", "SHA256": "${each.key}"}
    done = subprocess.run(
        ["/bin/sh", "-c", fetch["command"]],
        cwd=folder,
        # No proxy of the environment.
        env={"PATH": os.environ["PATH"], "SOURCE": source, "SHA256": digest},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def fetched(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (folder / "images").iterdir()}


@pytest.mark.parametrize("path", ["/noble.img", "/moved.img"])
def test_an_image_by_url_is_kept_under_its_checksum_for_its_owner_alone(
    fetch: dict[str, Any], server: str, path: str, tmp_path: Path
) -> None:
    assert run(fetch, tmp_path, server + path) == (0, "")
    assert fetched(tmp_path) == {DIGEST: IMAGE}
    assert (tmp_path / "images" / DIGEST).stat().st_mode & 0o777 == 0o600


def test_an_image_of_another_checksum_is_refused_with_both_and_nothing_is_left(
    fetch: dict[str, Any], server: str, tmp_path: Path
) -> None:
    code, said = run(fetch, tmp_path, f"{server}/noble.img", "0" * 64)

    assert code == 1
    assert said == f"{server}/noble.img has the sha256 {DIGEST}, cluster.yaml says {'0' * 64}\n"
    assert fetched(tmp_path) == {}


@pytest.mark.parametrize(("path", "words"), [("/gone.img", "404"), ("/cut.img", "transfer closed")])
def test_an_image_that_is_not_there_or_breaks_off_is_told_by_its_url_and_nothing_is_left(
    fetch: dict[str, Any], server: str, path: str, words: str, tmp_path: Path
) -> None:
    code, said = run(fetch, tmp_path, server + path)

    assert code == 1
    assert words in said
    assert said.endswith(
        f"{server}{path} can't be fetched, see above; correct the image in cluster.yaml, or deploy again\n"
    )
    assert fetched(tmp_path) == {}
    assert run(fetch, tmp_path, f"{server}/noble.img") == (0, "")


def test_an_image_that_is_there_is_fetched_no_more_and_a_spoilt_one_is_again(
    fetch: dict[str, Any], server: str, tmp_path: Path
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / DIGEST).write_bytes(IMAGE)
    assert run(fetch, tmp_path, f"{server}/gone.img") == (0, "")

    (tmp_path / "images" / DIGEST).write_bytes(b"spoilt")
    assert run(fetch, tmp_path, f"{server}/noble.img") == (0, "")
    assert fetched(tmp_path) == {DIGEST: IMAGE}
