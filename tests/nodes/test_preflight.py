"""The preflight: each check by name, run by the real shell with doubles of what it asks."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import WHOLE
from tests.nodes.node import Node

SCRIPT = "/usr/local/sbin/clustermesos-preflight"
FINE = {
    "df": "echo Avail; echo 90000",
    "ip": "echo '2: eth0    inet 10.20.16.11/20 brd 10.20.31.255 scope global eth0'",
    "getent": "echo 192.0.2.1",
    "chronyc": "echo 'Leap status     : Normal'",
    "docker": "echo 1.24 1.51",
    "mesos-master": "test $1 = --version",
    "mesos-agent": "test $1 = --version",
}
"""Program → what its double says on a node that lacks nothing."""


def script(folder: Path, role: str, *warnings: str) -> Path:
    spec = ClusterSpec.model_validate(WHOLE | {"nodes": {"preflight_warnings": list(warnings)}})
    site = plan(spec).site("eu")
    path = folder / "preflight"
    node = site.pools[0] if role == Role.AGENT else site.nodes_of(Role.MASTER)[0]
    text = render(site, node).file(SCRIPT).content
    # Whatever cgroup version this machine has.
    assert "/sys/fs/cgroup/cgroup.controllers" in text
    path.write_text(text.replace("/sys/fs/cgroup/cgroup.controllers", str(folder / "cgroup.controllers")))
    return path


def ask(folder: Path, when: str, *warnings: str, **doubles: str) -> subprocess.CompletedProcess[str]:
    role = doubles.pop("role", "agent" if when == "docker" else "master")
    if doubles.pop("cgroup", "2") == "2":
        (folder / "cgroup.controllers").write_text("cpu memory\n")
    for name, text in (FINE | doubles).items():
        (folder / name).write_text(f"#!/bin/sh\n# Double of {name}.\n{text}\n")
        (folder / name).chmod(0o755)
    return subprocess.run(
        ["sh", str(script(folder, role, *warnings)), when],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
    )


@pytest.mark.parametrize("when", ["early", "base", "docker", "zookeeper"])
def test_a_machine_that_lacks_nothing_passes_in_silence(tmp_path: Path, when: str) -> None:
    done = ask(tmp_path, when)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


LACKING = [
    ("cgroup", "early", {"cgroup": "1"}),
    ("root-disk", "early", {"df": "echo Avail; echo 2047"}),
    ("address", "early", {"ip": "echo '2: eth0    inet 10.20.16.111/20 scope global eth0'"}),
    ("dns", "early", {"getent": "exit 2"}),
    ("data-disk", "base", {"df": "echo Avail; echo 1023"}),
    ("clock", "base", {"chronyc": "echo 'Leap status     : Not synchronised'"}),
    ("clock", "base", {"chronyc": "echo '506 Cannot talk to daemon'; exit 1"}),
    ("mesos", "base", {"mesos-master": "exit 127"}),
    ("mesos", "base", {"mesos-agent": "exit 127", "role": "agent"}),
    ("docker-api", "docker", {"docker": "echo 1.45 1.52"}),
    ("docker-api", "docker", {"docker": "echo 1.12 1.23"}),
    ("docker-api", "docker", {"docker": "echo 1.40 2.0"}),
    ("docker-api", "docker", {"docker": "echo what"}),
    ("docker-api", "docker", {"docker": "exit 1"}),
]


@pytest.mark.parametrize("versions", ["1.12 1.41", "1.24 1.51", "1.44 1.52", "1.44 1.55"])
def test_an_engine_passes_that_speaks_an_api_which_the_agent_will_ask_for(
    tmp_path: Path, versions: str
) -> None:
    done = ask(tmp_path, "docker", docker=f"echo {versions}")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_only_agents_are_asked_for_dockers_api(tmp_path: Path) -> None:
    assert ask(tmp_path, "docker", role="master", docker="echo 1.45 1.52").returncode == 0


@pytest.mark.parametrize(("name", "when", "doubles"), LACKING)
def test_what_a_machine_lacks_is_named_in_one_line(
    tmp_path: Path, name: str, when: str, doubles: dict[str, str]
) -> None:
    done = ask(tmp_path, when, **doubles)

    assert done.returncode == 1
    assert done.stderr.startswith(f"preflight {name}: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(("name", "when", "doubles"), LACKING)
def test_a_check_that_only_warns_is_said_and_ends_nothing(
    tmp_path: Path, name: str, when: str, doubles: dict[str, str]
) -> None:
    done = ask(tmp_path, when, name, **doubles)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"warning: preflight {name}: ")


def test_all_that_is_lacking_is_said_at_once(tmp_path: Path) -> None:
    done = ask(tmp_path, "early", df="echo Avail; echo 1", getent="exit 2")

    assert "root-disk: " in done.stderr
    assert "; dns: the name proxy.example.org is not found" in done.stderr


LACKS = "#!/bin/sh\necho 'preflight dns: no name server' >&2\nexit 1\n"


def test_apply_ends_before_anything_is_changed(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.send({SCRIPT: LACKS, "/etc/web.conf": "one\n"})

    done = node.apply("first-boot")

    assert done.returncode == 1
    assert "preflight dns: no name server; gave up after 1 s" in done.stderr
    assert not node.at("/etc/web.conf").exists()


def test_a_reboot_says_it_and_goes_on(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.send({"/etc/web.conf": "none\n"})
    node.apply("first-boot")
    node.send({SCRIPT: LACKS, "/etc/web.conf": "one\n"})

    done = node.apply("boot")

    assert done.returncode == 0, done.stderr
    assert "preflight dns: no name server" in done.stdout
    assert node.at("/etc/web.conf").read_text() == "one\n"


def test_the_way_back_is_not_barred_by_it(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.send({SCRIPT: '#!/bin/sh\n[ ! -e "$DOUBLES/lacks" ] || exit 1\n', "/etc/web.conf": "one\n"})
    assert node.apply("first-boot").returncode == 0
    node.send({"/etc/web.conf": "two\n"})
    assert node.apply().returncode == 0
    (node.doubles / "lacks").write_text("")

    done = node.apply("rollback")

    assert done.returncode == 0, done.stderr
    assert "clustermesos-preflight early: exit code 1" in done.stdout
    assert node.at("/etc/web.conf").read_text() == "one\n"
    assert node.status()["applied"] == 1


def test_it_is_asked_again_once_a_component_runs(tmp_path: Path) -> None:
    node = Node(tmp_path)
    stages = [
        {"component": name, "units": [f"{name}.service"], "seconds": 5, "checks": []} for name in ("a", "b")
    ]
    node.send(
        {SCRIPT: "#!/bin/sh\n[ $1 != a ] || { echo 'preflight clock: no' >&2; exit 1; }\n"}, stages=stages
    )

    done = node.apply("first-boot")

    assert "preflight clock: no" in done.stderr
    assert "start a.service" in (calls := node.calls())
    assert "start b.service" not in calls
