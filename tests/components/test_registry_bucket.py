"""Images in a bucket instead of on the data volume: real registries before an S3 of this machine (moto)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.components.registry_here import MANIFEST, SOFTWARE, Registry, files_of, planned, program_of
from tests.conftest import AwsDouble, need

BUCKET = "shop-images"
ENCRYPTED = "encrypt: true"


@pytest.fixture
def s3(embedded_aws: AwsDouble) -> Any:
    """With the bucket, which exists before the cluster does."""
    client = embedded_aws.client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-west-3"})
    return client


@pytest.fixture(params=SOFTWARE)
def registry(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    s3: Any,
    embedded_aws: AwsDouble,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Registry]:
    """By the registry of the nodes' image, and by the distribution's; a node has its role instead of keys."""
    need("htpasswd")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "demo")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    # Set on a developer's machine, it keeps 2.8 from starting.
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    files = files_of(planned(SOFTWARE[request.param], bucket=BUCKET))
    here = {ENCRYPTED: f"{ENCRYPTED}, regionendpoint: '{embedded_aws.endpoint}', forcepathstyle: true"}
    registry = Registry(tmp_path, files, others=here)
    registry.program = program_of(request.param)
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()


def objects(s3: Any, part: str = "") -> list[str]:
    found = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    return [one["Key"] for one in found if part in one["Key"]]


@pytest.mark.slow
def test_an_image_that_is_pushed_lies_in_the_bucket_encrypted_and_is_pulled(
    registry: Registry, s3: Any
) -> None:
    layer = registry.push_image("shop/web")

    assert registry.ask("GET", "/v2/shop/web/manifests/1", Accept=MANIFEST)[0] == 200
    assert registry.content(f"/v2/shop/web/blobs/{layer}") == b"the layer of shop/web"
    blobs = objects(s3, layer.removeprefix("sha256:"))
    assert blobs and all(key.startswith("whole/docker/registry/v2/") for key in objects(s3))
    assert {s3.head_object(Bucket=BUCKET, Key=key)["ServerSideEncryption"] for key in blobs} == {"AES256"}
    assert list((registry.folder / "srv/data/registry").iterdir()) == []


@pytest.mark.slow
def test_an_image_of_many_parts_comes_back_as_it_was(registry: Registry) -> None:
    """An upload of more than one part of S3's, which has 10 MiB."""
    content = bytes(range(256)) * 4096 * 25

    layer = registry.push_blob("shop/web", content)

    assert registry.content(f"/v2/shop/web/blobs/{layer}") == content


@pytest.mark.slow
def test_a_registry_that_lost_its_machine_has_the_same_images(registry: Registry, tmp_path: Path) -> None:
    layer = registry.push_image("shop/web")
    registry.stop()
    another = Registry(tmp_path / "another", registry.files, others=registry.others)
    another.program = registry.program
    another.start()
    try:
        assert another.content(f"/v2/shop/web/blobs/{layer}") == b"the layer of shop/web"
    finally:
        another.stop()


@pytest.mark.slow
def test_garbage_collection_deletes_from_the_bucket_what_no_image_names_and_nothing_else(
    registry: Registry, s3: Any
) -> None:
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
    assert registry.content(f"/v2/shop/web/blobs/{kept}") == b"the layer of shop/web"
    assert registry.ask("GET", f"/v2/shop/web/blobs/{lost}")[0] == 404
    assert objects(s3, f"{lost.removeprefix('sha256:')}/data") == []


@pytest.mark.slow
def test_in_a_bucket_to_which_nothing_was_pushed_yet_there_is_nothing_to_collect(registry: Registry) -> None:
    done = registry.collect()

    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_collection_that_does_not_reach_the_bucket_fails_and_leaves_the_registry_writable(
    registry: Registry, s3: Any
) -> None:
    registry.push_image("shop/web")
    config = registry.folder / "etc/registry/registry.yml"
    config.write_text(config.read_text().replace(BUCKET, "another-bucket"))

    assert registry.collect().returncode != 0
    assert not (registry.folder / "run/registry-readonly").exists()
    assert registry.restarts.read_text().splitlines()[-1] == "try-restart docker-registry"


def test_the_bucket_is_in_the_sites_region_or_in_the_one_that_is_named() -> None:
    def storage(**settings: Any) -> dict[str, Any]:
        file = files_of(planned(bucket=BUCKET, **settings)).file("/etc/registry/registry.yml")
        return dict(yaml.safe_load(file.content)["storage"])

    assert storage()["s3"] | {"bucket": BUCKET, "region": "eu-west-3"} == storage()["s3"]
    assert storage(region="eu-west-1")["s3"]["region"] == "eu-west-1"
    assert "filesystem" not in storage()


def test_collection_goes_to_the_bucket_by_the_proxy_as_the_registry_does() -> None:
    def script(source: str, **settings: Any) -> str:
        site = planned(SOFTWARE[source], proxy="http://proxy.example.org:3128", **settings)
        return files_of(site).file("/usr/local/sbin/registry-gc").content

    for source in SOFTWARE:
        assert "export HTTPS_PROXY=http://proxy.example.org:3128\n" in script(source, bucket=BUCKET)
        assert "PROXY" not in script(source)
    assert " --env HTTPS_PROXY " in script("image", bucket=BUCKET)
