"""The registry from an image, by its unit and by the node's own collection of garbage, with a real Docker."""

from __future__ import annotations

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import LONG, says, seen
from tests.machines.registry_of import REGISTRY, push

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
NODE = "consul-1"
BLOBS = "/srv/data/registry/docker/registry/v2/blobs"
KIND = "application/vnd.docker.distribution.manifest.v2+json"
ASK = f"""
curl --silent --output /dev/null --write-out '%{{http_code}}' --user cluster:$(cat /etc/registry/password) \\
  --request "$1" --header 'Accept: {KIND}' "https://{REGISTRY}/v2/$2"
"""


def status(lab: KeptLab, method: str, path: str) -> str:
    return says(lab, NODE, "sh", "-c", ASK, "sh", method, path)


def blobs(lab: KeptLab) -> set[str]:
    return set(says(lab, NODE, "find", BLOBS, "-name", "data").splitlines())


def test_it_runs_from_its_image_as_a_user_of_its_own(machines: KeptLab) -> None:
    asked = ("docker", "inspect", "--format", "{{.Config.Image}} {{.Config.User}}", "registry")

    assert says(machines, NODE, *asked) == "registry:3.1.0 5000:5000"


def test_an_image_is_pushed_and_pulled_and_survives_a_restart(machines: KeptLab) -> None:
    push(machines, "lab/kept:1")
    says(machines, NODE, "systemctl", "restart", "docker-registry")
    pull = ("docker", "pull", "--quiet", f"{REGISTRY}/lab/kept:1")

    seen("it is pulled", LONG, lambda: says(machines, "master-1", *pull))


def test_the_nodes_own_collection_deletes_what_no_image_names_and_nothing_else(machines: KeptLab) -> None:
    push(machines, "lab/kept:1")
    before = blobs(machines)
    push(machines, "lab/lost:1")
    lost = blobs(machines) - before
    image = ("docker", "image", "inspect", "--format", "{{index .RepoDigests 0}}", f"{REGISTRY}/lab/lost:1")
    digest = says(machines, NODE, *image).split("@")[1]
    assert status(machines, "DELETE", f"lab/lost/manifests/{digest}") == "202"

    says(machines, NODE, "systemctl", "start", "registry-gc.service")

    assert lost and blobs(machines) == before
    seen(
        "it answers and takes pushes again",
        LONG,
        lambda: status(machines, "POST", "lab/kept/blobs/uploads/"),
        lambda code: code == "202",
    )
    assert status(machines, "GET", "lab/kept/manifests/1") == "200"
