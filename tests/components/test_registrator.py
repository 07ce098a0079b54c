from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

from constructs_lib.components.registrator import CHECK, REGISTRATOR
from constructs_lib.nodes.health import checks_of
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


def healthy(folder: Path, docker: str, **software: Any) -> subprocess.CompletedProcess[str]:
    """What the rendered check says where Docker is the given script."""
    planned = plan(ClusterSpec.model_validate(WHOLE | {"software": {"components": software}})).site("eu")
    script = folder / "check"
    script.write_text(render(planned, planned.pools[0]).file(CHECK).content)
    (folder / "docker").write_text(f"#!/bin/sh\n# Double of docker.\n{docker}\n")
    (folder / "docker").chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(
        ["sh", str(script)], capture_output=True, text=True, check=False, env=environment, timeout=180
    )


def test_it_is_healthy_when_its_container_runs_and_not_because_its_unit_is_active(tmp_path: Path) -> None:
    assert checks_of(REGISTRATOR)[-1] == {"kind": "succeeds", "command": [CHECK]}
    asked = '[ "$*" = "inspect -f {{.State.Running}} registrator" ] || exit 64'
    assert healthy(tmp_path, f"{asked}\necho true").returncode == 0
    for wrong in ("echo false", "echo; echo 'Error: No such object: registrator' >&2; exit 1"):
        done = healthy(tmp_path, f"{asked}\n{wrong}")
        assert (done.returncode, done.stdout) == (1, "the container registrator does not run\n")


def test_a_binary_of_the_machine_has_no_container_to_ask_for(tmp_path: Path) -> None:
    assert healthy(tmp_path, "exit 1", registrator={"source": "preinstalled"}).returncode == 0
