"""What a Mesos agent is started with, and the program on the node that computes the rest, run for real."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from constructs_lib.components.model import Role
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.components.mesos_agent_here import agent, flags, unit
from tests.conftest import need
from tests.nodes.clusters import WHOLE, site


def test_it_works_with_cgroup_v2_and_takes_back_what_grew() -> None:
    assert flags()["systemd_enable_support"] == "false"
    assert flags()["reconfiguration_policy"] == "additive"
    assert flags()["containerizers"] == "docker,mesos"


def test_a_restart_leaves_its_tasks_alone_and_stopping_docker_does_not_stop_it() -> None:
    assert "KillMode=process\n" in unit()
    assert "Delegate=yes\n" in unit()
    assert not re.search(r"(?m)^(Requires|BindsTo|PartOf)=", unit())
    assert re.search(r"(?m)^After=.*\bremote-fs.target docker.service$", unit())


def test_it_pulls_images_with_the_nodes_own_login_which_no_flag_tells() -> None:
    """Mesos gives `docker pull` the sandbox as its home, so root's config has to be named."""
    written = re.search(r'ROOT / "(.*)/config.json"', agent().file("/usr/local/libexec/docker-login").content)

    assert written is not None
    assert f"Environment=DOCKER_CONFIG=/{written[1]}\n" in unit()
    assert "docker_config" not in flags()


def test_its_address_of_the_masters_holds_no_password() -> None:
    assert flags()["master"] == "zk://10.20.16.11:2181,10.20.80.12:2181,10.20.144.13:2181/mesos"


def test_whoever_reaches_its_port_has_to_log_in_to_change_anything() -> None:
    assert flags()["authenticate_http_readwrite"] == "true"
    assert flags()["http_credentials"] == "file:///run/mesos-agent/http_credentials.json"
    # The password of the masters' operator is on no agent.
    assert {secret.name for secret in agent().secrets if secret.path.startswith("/etc/mesos/")} == {
        "mesos_agent_password",
        "mesos_agent_operator_password",
    }


def test_a_machine_that_brings_mesos_along_gets_no_package() -> None:
    software = {"components": {name: {"source": "preinstalled"} for name in ("mesos_master", "mesos_agent")}}
    planned = plan(ClusterSpec.model_validate(WHOLE | {"software": software})).site("eu")
    texts = [render(planned, node) for node in planned.nodes] + [render(planned, planned.pools[0])]
    for files in texts:
        assert not [one for one in files.packages if one.component.startswith("mesos")]


def test_a_mirror_of_its_repository_holds_the_key_too_and_the_fingerprint_stays() -> None:
    mirror = {"mesos_agent": {"mirror": "https://mirror.example.org/aventer/"}}
    software = {"components": mirror, "apt_mirror": "http://mirror.example.org/ubuntu"}
    planned = plan(ClusterSpec.model_validate(WHOLE | {"software": software})).site("eu")
    [own] = [one for one in render(planned, planned.pools[0]).packages if one.component == "mesos_agent"]
    [other] = [
        one
        for one in render(site("whole"), site("whole").pools[0]).packages
        if one.component == "mesos_agent"
    ]

    assert own.repository is not None
    assert other.repository is not None
    assert (own.repository.uri, own.repository.key) == (
        "https://mirror.example.org/aventer",
        "support_aventer.asc",
    )
    assert own.repository.fingerprint == other.repository.fingerprint
    assert other.repository.uri == {
        "ubuntu": "http://rpm.aventer.biz/Ubuntu/{codename}",
        "debian": "http://rpm.aventer.biz/Debian",
    }
    assert (other.names, other.version) == (("aventer-mesos",), "1.11.0-0.9.0")


def test_an_owners_new_key_is_trusted_at_the_owners_own_address() -> None:
    software = {"components": {"mesos_agent": {"fingerprint": "AB" * 20}}}
    planned = plan(ClusterSpec.model_validate(WHOLE | {"software": software})).site("eu")
    [own] = [one for one in render(planned, planned.pools[0]).packages if one.component == "mesos_agent"]

    assert own.repository is not None
    assert own.repository.fingerprint == "AB" * 20
    assert own.repository.key == "https://www.aventer.biz/assets/support_aventer.asc"


def test_logrotate_itself_bounds_what_tasks_write_and_keeps_their_files_open(tmp_path: Path) -> None:
    logrotate = need("logrotate")
    run = tmp_path / "slaves/S1/frameworks/F1/executors/E1/runs/0a1b-2c"
    run.mkdir(parents=True)
    (run.parent / "latest").symlink_to(run.name)
    for name, size in (("stdout", 51 << 20), ("stderr", 100), ("data", 60 << 20)):
        with (run / name).open("wb") as file:
            file.truncate(size)
    config = tmp_path / "mesos-tasks"
    text = agent().file("/etc/logrotate.d/mesos-tasks").content
    config.write_text(text.replace("/var/lib/mesos", str(tmp_path)))
    config.chmod(0o644)
    with (run / "stdout").open("ab") as task:
        for _ in range(2):
            done = subprocess.run(
                [logrotate, "--state", str(tmp_path / "state"), str(config)],
                capture_output=True,
                text=True,
                check=False,
            )
            assert (done.returncode, done.stderr) == (0, "")
        task.write(b"on it goes")
    assert (run / "stdout").read_bytes() == b"on it goes"
    sizes = {path.name: path.stat().st_size for path in run.iterdir()}
    assert sizes == {"stdout": 10, "stdout.1": 51 << 20, "stderr": 100, "data": 60 << 20}


def test_master_and_agent_read_one_and_the_same_secret() -> None:
    [shared] = [secret for secret in site("whole").secrets if secret.name == "mesos_agent_password"]
    assert set(shared.roles) == {Role.MASTER, Role.AGENT}
    assert {each.to for each in (shared.declared, *shared.also)} == {"/etc/mesos/secrets/agent"}
