from __future__ import annotations

import pytest

from constructs_lib.errors import SpecError
from constructs_lib.plan.software import resolve_software
from constructs_lib.spec.model import SoftwareSpec


def test_defaults_are_the_components_own() -> None:
    zookeeper = resolve_software(SoftwareSpec())["zookeeper"]
    assert (zookeeper.source, zookeeper.image) == ("image", "zookeeper:3.9.6")


def test_the_global_prefix_is_put_before_every_image() -> None:
    software = resolve_software(SoftwareSpec(image_prefix="registry.example.org/mirror/"))
    assert software["zookeeper"].image == "registry.example.org/mirror/zookeeper:3.9.6"


def test_a_components_own_mirror_wins_over_the_global_one() -> None:
    spec = SoftwareSpec.model_validate(
        {"image_prefix": "one.example.org", "components": {"zookeeper": {"mirror": "two.example.org/m"}}}
    )
    assert resolve_software(spec)["zookeeper"].image == "two.example.org/m/zookeeper:3.9.6"


def test_a_checksum_pins_the_image_by_digest() -> None:
    spec = SoftwareSpec.model_validate(
        {"components": {"zookeeper": {"version": "3.9.5", "sha256": "a" * 64}}}
    )
    assert resolve_software(spec)["zookeeper"].image == f"zookeeper:3.9.5@sha256:{'a' * 64}"


def test_the_distributions_package_does_not_inherit_the_images_version() -> None:
    spec = SoftwareSpec.model_validate({"components": {"zookeeper": {"source": "apt"}}})
    zookeeper = resolve_software(spec)["zookeeper"]
    assert (zookeeper.source, zookeeper.version, zookeeper.image) == ("apt", None, None)
    assert "zookeeper" in zookeeper.packages


def test_fails_on_a_source_that_the_component_cannot_run_from() -> None:
    spec = SoftwareSpec.model_validate({"components": {"nginx": {"source": "image"}}})
    with pytest.raises(SpecError, match=r"software\.nginx\.source: got 'image', expected apt"):
        resolve_software(spec)


def test_who_asks_for_apt_gets_the_distributions_docker_in_its_own_version() -> None:
    spec = SoftwareSpec.model_validate({"components": {"docker": {"source": "apt"}}})
    docker = resolve_software(spec)["docker"]
    assert (docker.packages, docker.version) == (("docker.io",), None)
    assert resolve_software(SoftwareSpec())["docker"].packages[0] == "docker-ce"
