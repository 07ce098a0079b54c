"""Names and images on booted nodes: .consul on hosts and in containers, pushes and pulls by the login."""

from __future__ import annotations

import json

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import until

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]

IMAGE = "registry.service.consul:5000/lab/box:1"
MAKE = f"""
set -e
rm -rf /tmp/box && mkdir -p /tmp/box/bin && cp /bin/busybox /tmp/box/bin/
for applet in sh nslookup; do ln -s busybox /tmp/box/bin/$applet; done
tar -C /tmp/box -c . | docker import - {IMAGE}
"""


@pytest.fixture
def pushed(lab: KeptLab) -> KeptLab:
    """An agent has made an image of its busybox and pushed it."""
    done = lab.run("general-1", "sh", "-c", f"{MAKE} docker push {IMAGE}")
    assert done.code == 0, done.out + done.err
    return lab


def test_consul_names_resolve_on_every_node_that_has_an_agent(lab: KeptLab) -> None:
    consul = str(lab.identity("consul-1").address)
    for name in ("master-1", "consul-1", "general-1"):
        for asked in ("consul.service.consul", "registry.service.consul", "consul-1.node.consul"):
            assert lab.run(name, "getent", "hosts", asked).out.split()[:1] == [consul], (name, asked)


@pytest.mark.parametrize("network", ["bridge", "other", "host"])
def test_consul_names_resolve_inside_containers_of_every_network(pushed: KeptLab, network: str) -> None:
    pushed.run("general-1", "docker", "network", "create", "other")
    command = ("docker", "run", "--rm", "--network", network, IMAGE, "nslookup", "consul.service.consul")

    done = pushed.run("general-1", *command)

    assert str(pushed.identity("consul-1").address) in done.out, done.out + done.err


def test_an_image_that_an_agent_pushed_is_pulled_elsewhere_and_by_nobody_without_the_login(
    pushed: KeptLab,
) -> None:
    pushed.run("master-1", "docker", "rmi", "--force", IMAGE)
    refused = pushed.run("master-1", "env", "DOCKER_CONFIG=/nowhere", "docker", "pull", IMAGE)
    pulled = pushed.run("master-1", "docker", "pull", IMAGE)

    assert refused.code != 0
    assert "no basic auth credentials" in refused.err
    assert pulled.code == 0, pulled.err


def test_garbage_collection_leaves_the_image_and_a_registry_that_takes_more(pushed: KeptLab) -> None:
    done = pushed.run("consul-1", "registry-gc")

    assert done.code == 0, done.out + done.err
    until(
        "a push after the collection",
        60,
        lambda: pushed.run("general-1", "docker", "push", IMAGE).code == 0,
    )
    pushed.run("master-1", "docker", "rmi", "--force", IMAGE)
    assert pushed.run("master-1", "docker", "pull", IMAGE).code == 0


def test_prometheus_reads_what_answers_on_its_own_node(lab: KeptLab) -> None:
    def up() -> set[str]:
        said = lab.run("consul-1", "curl", "-s", "http://127.0.0.1:9090/api/v1/targets").out
        targets = json.loads(said)["data"]["activeTargets"]
        return {target["labels"]["job"] for target in targets if target["health"] == "up"}

    until("its own jobs", 90, lambda: {"consul-http", "registry-metrics", "prometheus-http"} <= up())


def test_nobody_without_a_token_reads_consul_on_a_node(lab: KeptLab) -> None:
    for name in ("consul-1", "general-1"):
        url = "http://127.0.0.1:8500/v1/kv/any"
        code = lab.run(name, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url).out
        assert code == "403", name
