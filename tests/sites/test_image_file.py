"""The shell that fetches an image before a platform gets it, run against a server of this machine."""

from __future__ import annotations

import hashlib
import json
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
from tests.sites.qcow2 import GIB, qcow2

IMAGE = qcow2()
DIGEST = hashlib.sha256(IMAGE).hexdigest()
# Each names an image by URL.
CASES: dict[str, Any] = {
    "openstack.upload": (openstack, "optional"),
    "libvirt.image": (libvirt, "private"),
}


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
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
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
    assert command["environment"]["FIELD"] == f"sites.dc1.{request.param}"
    return command


def run(
    fetch: dict[str, Any], folder: Path, source: str, digest: str = DIGEST, shell: str = "/bin/sh"
) -> tuple[int, str]:
    """Its exit code and what it says."""
    need("curl")
    environment = fetch["environment"]
    assert (environment["SOURCE"], environment["SHA256"]) == ("${each.value}", "${each.key}")
    done = subprocess.run(
        [shell, "-c", fetch["command"]],
        cwd=folder,
        # No proxy of the environment.
        env={
            "PATH": os.environ["PATH"],
            **{name: str(value) for name, value in environment.items()},
            "SOURCE": source,
            "SHA256": digest,
        },
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


@pytest.fixture(params=["/bin/sh", "/bin/bash"])
def shell(request: pytest.FixtureRequest) -> str:
    """What `sh` may be: their numbers overflow differently."""
    need(request.param)
    return str(request.param)


def of(fetch: dict[str, Any], image: bytes, folder: Path, shell: str) -> tuple[int, str]:
    """What is said of a file with that content, without its path; nothing is left of one that is refused."""
    file = folder / "noble.img"
    file.write_bytes(image)
    digest = hashlib.sha256(image).hexdigest()
    code, said = run(fetch, folder, str(file), digest, shell)
    assert fetched(folder) == ({} if code else {digest: image})
    field = f"{fetch['environment']['FIELD']}: {file} "
    assert said == "" or (said.startswith(field) and said.count("\n") == 1)
    return code, said.removeprefix(field).rstrip()


NO_IMAGE = "is no qcow2 image, expected one: qemu-img convert -O qcow2"
ON_ANOTHER = "is a qcow2 image that lies on another one, expected a whole one: qemu-img convert -O qcow2"


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (b"\0" * 510 + b"\x55\xaa" + b"\0" * 512, NO_IMAGE),
        (b"\xfd7zXZ\0" + qcow2(), NO_IMAGE),
        (b"<!DOCTYPE html>\n", NO_IMAGE),
        (b"", NO_IMAGE),
        (qcow2()[:24], NO_IMAGE),
        (qcow2(version=1), NO_IMAGE),
        (qcow2(backing="/etc/shadow"), ON_ANOTHER),
    ],
    ids=["raw", "compressed", "page", "empty", "short", "first-version", "backed"],
)
def test_a_file_that_is_no_whole_qcow2_image_is_refused_with_its_setting_and_nothing_is_left(
    image: bytes, words: str, fetch: dict[str, Any], shell: str, tmp_path: Path
) -> None:
    assert of(fetch, image, tmp_path, shell) == (1, words)


def of_disk(size: int) -> bytes:
    """An image of a disk for which no tables are made."""
    return qcow2()[:24] + size.to_bytes(8, "big") + qcow2()[32:]


TOO_LARGE = "is of a disk of {} GiB, expected at most {}, the smallest root disk of the site's machines"


def test_an_image_of_a_disk_that_is_a_sector_larger_than_the_smallest_root_disk_is_refused(
    fetch: dict[str, Any], shell: str, tmp_path: Path
) -> None:
    most = int(fetch["environment"]["GIB"])

    found = of(fetch, of_disk(most * GIB + 512), tmp_path, shell)

    assert found == (1, TOO_LARGE.format(most + 1, most))


@pytest.mark.parametrize("size", [2**48 + 512, 2**63, 2**64 - 512])
def test_a_disk_beyond_a_shells_numbers_is_too_large_too(
    size: int, fetch: dict[str, Any], shell: str, tmp_path: Path
) -> None:
    most = int(fetch["environment"]["GIB"])

    assert of(fetch, of_disk(size), tmp_path, shell) == (1, TOO_LARGE.format(262144, most))


@pytest.mark.parametrize("version", [2, 3])
def test_an_image_of_exactly_the_smallest_root_disk_is_taken(
    version: int, fetch: dict[str, Any], shell: str, tmp_path: Path
) -> None:
    most = int(fetch["environment"]["GIB"])

    assert of(fetch, qcow2(most * GIB, version=version), tmp_path, shell) == (0, "")


def test_a_file_that_is_there_already_has_to_be_an_image_too(fetch: dict[str, Any], tmp_path: Path) -> None:
    raw = b"\0" * 1024
    digest = hashlib.sha256(raw).hexdigest()
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / digest).write_bytes(raw)

    code, said = run(fetch, tmp_path, "/nowhere/noble.img", digest)

    assert (code, NO_IMAGE in said) == (1, True)


@pytest.mark.parametrize("version", [2, 3])
def test_qemu_takes_these_images_for_whole_ones(version: int, tmp_path: Path) -> None:
    need("qemu-img")
    file = tmp_path / "noble.img"
    file.write_bytes(qcow2(20 * GIB, version=version))

    told = subprocess.run(
        ["qemu-img", "info", "--output=json", file], capture_output=True, check=True, timeout=60
    )
    checked = subprocess.run(["qemu-img", "check", "-q", file], check=False, timeout=60)

    info = json.loads(told.stdout)
    assert (info["format"], info["virtual-size"], checked.returncode) == ("qcow2", 20 * GIB, 0)
