from __future__ import annotations

from typing import Any

from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import WHOLE


def unit(**software: Any) -> str:
    planned = plan(ClusterSpec.model_validate(WHOLE | {"software": {"components": software}})).site("eu")
    return render(planned, planned.pools[0]).file("/etc/systemd/system/registrator.service").content


FLAGS = "-ip @@node:address@@ -cleanup -resync 60 -retry-attempts -1 -retry-interval 2000 -deregister always"


def test_it_announces_the_agents_address_and_repairs_what_it_missed() -> None:
    assert f"fayrus/registrator:v9.2.0 {FLAGS} consul://127.0.0.1:8500'\n" in unit()


def test_it_is_started_for_ever_since_it_ends_with_dockers_event_stream() -> None:
    assert "Restart=always\n" in unit()
    assert "StartLimitIntervalSec=0\n" in unit()


def test_its_token_is_read_from_the_nodes_secret_and_is_on_no_command_line() -> None:
    assert "CONSUL_HTTP_TOKEN=$$(cat /etc/registrator/consul-token) exec " in unit()
    assert "--env CONSUL_HTTP_TOKEN " in unit()


def test_another_image_and_a_binary_of_the_machine_are_taken() -> None:
    assert "/usr/bin/registrator" not in unit()
    other = unit(registrator={"mirror": "registry.example.org/mirror", "version": "v9.1.0"})
    assert "registry.example.org/mirror/fayrus/registrator:v9.1.0" in other
    local = unit(registrator={"source": "preinstalled"})
    assert f"exec /usr/bin/registrator {FLAGS} " in local
    assert "docker run" not in local
    # Its default, /tmp/docker.sock, is where the image has the socket.
    assert "Environment=DOCKER_HOST=unix:///var/run/docker.sock\n" in local
