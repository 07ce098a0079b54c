"""Names and images on booted nodes: .consul on hosts and in containers, pushes and pulls by the login."""

from __future__ import annotations

import json
from functools import partial

import pytest

from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import LONG, address, resolves, says, seen, until

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
    until("a push", LONG, lambda: says(lab, "general-1", "sh", "-c", f"{MAKE} docker push {IMAGE}"))
    return lab


def _pull(lab: KeptLab, name: str) -> None:
    """Wait until a node pulls the image."""
    until(f"{name} pulls", LONG, lambda: says(lab, name, "docker", "pull", IMAGE))


def test_consul_names_resolve_on_every_node_that_has_an_agent(lab: KeptLab) -> None:
    for name in ("master-1", "consul-1", "general-1"):
        for asked in ("consul.service.consul", "registry.service.consul", "consul-1.node.consul"):
            resolves(lab, name, asked)


@pytest.mark.parametrize("network", ["bridge", "other", "host"])
def test_consul_names_resolve_inside_containers_of_every_network(pushed: KeptLab, network: str) -> None:
    pushed.run("general-1", "docker", "network", "create", "other")
    command = ("docker", "run", "--rm", "--network", network, IMAGE, "nslookup", "consul.service.consul")

    wanted = str(pushed.identity("consul-1").address)
    seen("it resolves", LONG, lambda: pushed.run("general-1", *command), lambda done: wanted in done.out)


def test_an_image_that_an_agent_pushed_is_pulled_elsewhere_and_by_nobody_without_the_login(
    pushed: KeptLab,
) -> None:
    pushed.run("master-1", "docker", "rmi", "--force", IMAGE)
    nobody = ("env", "DOCKER_CONFIG=/nowhere", "docker", "pull", IMAGE)

    refused = seen(
        "the registry has answered",
        LONG,
        lambda: pushed.run("master-1", *nobody, timeout=LONG),
        lambda done: done.code == 0 or "no basic auth credentials" in done.err,
    )
    assert refused.code != 0
    _pull(pushed, "master-1")


def test_an_agent_pulls_a_tasks_image_that_only_the_registry_has(pushed: KeptLab) -> None:
    """By the environment of the agent's own process, which is not that of root's shell."""
    ask = ("curl", "--silent", "--write-out", "%{http_code}", "--data", json.dumps({"image": IMAGE}))
    url = f"http://{address(pushed, 'general-1')}:5051/double/pull"

    def pulled() -> str:
        pushed.run("general-1", "docker", "rmi", "--force", IMAGE)
        return says(pushed, "general-1", *ask, url)

    seen("the agent has pulled it", LONG, pulled, lambda answer: answer == "200")
    assert pushed.run("general-1", "docker", "image", "inspect", IMAGE).code == 0


REGISTRY = "https://registry.service.consul:5000/v2/"


@pytest.mark.parametrize("name", ["master-1", "consul-1", "general-1"])
def test_the_systems_own_store_trusts_the_registry_by_its_name(lab: KeptLab, name: str) -> None:
    """Without it other containerizers than Docker, and people's curl, would refuse the registry."""
    ask = ("curl", "--silent", "--show-error", "--output", "/dev/null", "--write-out", "%{http_code}")
    # 401: TLS went well, and the registry wants a login.
    code = seen(f"{name} is answered", LONG, partial(says, lab, name, *ask, REGISTRY))
    assert code == "401"

    verify = "openssl verify -CApath /etc/ssl/certs /etc/docker/certs.d/registry.service.consul:5000/ca.crt"
    assert says(lab, name, "sh", "-c", verify).endswith(": OK")


def test_without_the_clusters_authority_the_registry_is_not_trusted(lab: KeptLab) -> None:
    """The control: it is this authority that lets the name through, and nothing else."""
    others = "mkdir -p /tmp/none && cat /usr/share/ca-certificates/mozilla/*.crt >/tmp/others.pem"
    trust = "--cacert /tmp/others.pem --capath /tmp/none"
    ask = f"{others} && curl --silent {trust} {REGISTRY}; echo $?"

    assert says(lab, "general-1", "sh", "-c", ask).splitlines()[-1] == "60"


def test_garbage_collection_leaves_the_image_and_a_registry_that_takes_more(pushed: KeptLab) -> None:
    says(pushed, "consul-1", "registry-gc")

    until("a push after the collection", LONG, lambda: says(pushed, "general-1", "docker", "push", IMAGE))
    pushed.run("master-1", "docker", "rmi", "--force", IMAGE)
    _pull(pushed, "master-1")


def test_a_full_disk_takes_old_images_and_not_one_that_was_made_today(pushed: KeptLab) -> None:
    """Images that `docker import` makes, as the lab's stand-ins are, have a date too."""
    full = "sed 's/-gt [0-9]*/-gt 0/' /usr/local/libexec/docker-image-gc"
    here = partial(pushed.run, "general-1", "docker", "image", "inspect", IMAGE)

    says(pushed, "general-1", "sh", "-c", f"{full} | sh")
    assert here().code == 0

    def taken() -> int:
        says(pushed, "general-1", "sh", "-c", f"{full} | sed 's/until=[0-9]*h/until=0h/' | sh")
        return here().code

    # Docker counts `until` in whole seconds: what was made in this one is not older than it.
    seen("an image of no age at all is taken", LONG, taken, lambda code: code == 1)


def test_prometheus_reads_what_answers_on_its_own_node(lab: KeptLab) -> None:
    def up() -> set[str]:
        said = lab.run("consul-1", "curl", "-s", "http://127.0.0.1:9090/api/v1/targets").out
        targets = json.loads(said)["data"]["activeTargets"]
        return {target["labels"]["job"] for target in targets if target["health"] == "up"}

    seen("its own jobs", LONG, up, {"consul-http", "registry-metrics", "prometheus-http"}.issubset)


def test_nobody_without_a_token_reads_consul_on_a_node(lab: KeptLab) -> None:
    for name in ("consul-1", "general-1"):
        url = "http://127.0.0.1:8500/v1/kv/any"
        curl = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", url)
        code = seen(f"{name} answers", LONG, partial(says, lab, name, *curl))
        assert code == "403", name
