"""What Chronos is started with, and its watchdog run for real against doubles of Mesos and systemctl."""

from __future__ import annotations

import json
import runpy
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from constructs_lib.components import COMPONENTS
from constructs_lib.components.chronos import LED
from constructs_lib.components.model import Role
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.nodes.templates import TEMPLATE_FOLDER
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.chronos import read_settings
from constructs_lib.simulator.double import Log
from constructs_lib.spec.model import ClusterSpec
from tests.components.on_node import Root
from tests.nodes.clusters import WHOLE, site

HOSTS = "10.20.16.11:2181,10.20.80.12:2181,10.20.144.13:2181"
WATCHDOG = "/usr/local/libexec/chronos-watchdog"


def master(planned: SitePlan | None = None) -> NodeFiles:
    planned = planned or site("whole")
    return render(planned, planned.nodes_of(Role.MASTER)[0])


def test_its_arguments_come_from_a_file_since_a_command_line_can_be_read_by_all() -> None:
    unit = master().file("/etc/systemd/system/chronos.service").content

    assert unit.count("@/run/chronos/args\n") == 1
    assert "--zk_auth" not in unit
    assert "PORT0=4400 --env PORT1=4401" in unit
    # With a file, Chronos' parser drops what the image appends to the line.
    assert "--http_port 4400\n" in master().file("/etc/chronos/args").content


def test_it_starts_by_its_watchdog_alone() -> None:
    files = master()

    assert "[Install]" not in files.file("/etc/systemd/system/chronos.service").content
    [stage] = [stage for stage in files.stages if stage.component == "chronos"]
    assert stage.units == ("chronos-watchdog.timer",)


def test_left_out_it_leaves_no_file_port_secret_or_health_check() -> None:
    software = {"components": {"chronos": {"enabled": False}}}
    planned = plan(ClusterSpec.model_validate(WHOLE | {"software": software})).site("eu")
    files = master(planned)

    assert not [file.path for file in files.files if "chronos" in file.path]
    assert not [stage for stage in files.stages if stage.component == "chronos"]
    assert not [rule for rule in planned.traffic if rule.component == "chronos"]
    assert "chronos_zookeeper_password" not in {secret.name for secret in planned.secrets}


def test_the_node_completes_its_arguments_and_secret(tmp_path: Path) -> None:
    node = Root(tmp_path)
    node.at("/run/chronos").mkdir(parents=True)
    node.put("/etc/chronos/zookeeper-password", "Zoo_1")
    node.put("/etc/chronos/mesos-password", "mesos-1\n")

    done = node.complete(master(), "chronos.service")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert "--zk_auth chronos:Zoo_1\n" in node.at("/run/chronos/args").read_text()
    assert node.at("/run/chronos/secret").read_bytes() == b"mesos-1"
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in node.at("/run/chronos").iterdir())
    # The double of Chronos refuses what Chronos would; the image appends the port, which is then dropped.
    arguments = [f"@{node.at('/run/chronos/args')}"]
    settings = read_settings(arguments, {"PORT0": "4400", "PORT1": "4401"}, Log("chronos"))
    assert (settings.zk.user, settings.zk.password, settings.zk.servers) == ("chronos", "Zoo_1", HOSTS)
    assert settings.port == 4400
    assert settings.flags["mesos_authentication_principal"] == "chronos"


class Doubles:
    """A master and a Chronos on loopback, and a systemctl that notes what it is asked."""

    def __init__(self, node: Root) -> None:
        self.node = node
        self.elected, self.active, self.answers = 1.0, True, True
        self.leader = "//10.20.0.5:5050"
        """Where the master sends who looks for the leader: to itself, while it knows none."""
        doubles = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                pages = {
                    "/metrics/snapshot": {"master/elected": doubles.elected},
                    "/master/frameworks": {
                        "frameworks": [
                            {"name": "marathon", "active": True},
                            {"name": "chronos", "active": doubles.active},
                        ]
                    },
                }
                if self.path == "/redirect":
                    self.send_response(307)
                    self.send_header("Location", doubles.leader)
                    self.end_headers()
                    return
                if self.path == "/ping" and not doubles.answers:
                    self.send_error(503)
                    return
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(pages.get(self.path, "pong")).encode())

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.node.double("hostname", "echo 10.20.0.5 172.17.0.1")
        self.node.at("/run").mkdir()
        self.runs(yes=True)

    def runs(self, *, yes: bool) -> None:
        self.unit("active" if yes else "inactive")

    def unit(self, state: str) -> None:
        """The unit's state as systemd has it."""
        self.node.double(
            "systemctl",
            f"""
case $1 in
show) test "$*" = "show --property=ActiveState --value chronos.service" && echo {state} ;;
is-active) test {state} = active || exit 3 ;;
*) echo "$@" >>{self.node.folder}/asked ;;
esac""",
        )

    def watchdog(self, *arguments: str) -> tuple[int, str]:
        port = self.server.server_address[1]
        here = {'"5050/': f'"{port}/', "5050, timeout": f"{port}, timeout", '"4400/': f'"{port}/'}
        done = self.node.run(master().file(WATCHDOG).content, *arguments, replaced=here)
        assert done.stderr == ""
        return done.returncode, done.stdout.strip()

    def asked(self) -> list[str]:
        """What systemctl was asked since the last time."""
        path = self.node.folder / "asked"
        words = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return words


@pytest.fixture
def doubles(tmp_path: Path) -> Iterator[Doubles]:
    doubles = Doubles(Root(tmp_path))
    yield doubles
    doubles.server.shutdown()
    doubles.server.server_close()


def test_the_watchdogs_ports_are_the_declared_ones() -> None:
    ports = {(component.name, port.name): port.number for component in COMPONENTS for port in component.ports}
    text = master().file(WATCHDOG).content

    assert f'"{ports["mesos_master", "http"]}/metrics/snapshot"' in text
    assert f'"{ports["chronos", "http"]}/ping"' in text


def test_the_leading_master_starts_chronos_at_once(doubles: Doubles) -> None:
    doubles.runs(yes=False)
    assert doubles.watchdog()[0] == 0
    assert doubles.asked() == ["start chronos.service"]


def test_when_its_master_led_last_is_left_for_prometheus_and_by_no_mere_check(doubles: Doubles) -> None:
    # Without the folder, of which it takes no notice.
    doubles.watchdog()
    folder = doubles.node.at("/var/lib/prometheus/node-exporter")
    folder.mkdir(parents=True)
    doubles.elected = 0.0
    doubles.watchdog()
    doubles.elected = 1.0
    doubles.watchdog("--check")
    assert not list(folder.iterdir())

    doubles.watchdog()
    name, led = (folder / "mesos.prom").read_text().split()
    assert name == LED and 0 <= time.time() - int(led) < 600


def test_a_master_that_knows_another_leader_stops_it_at_once(doubles: Doubles) -> None:
    doubles.elected, doubles.leader = 0.0, "//10.20.0.6:5050"
    assert doubles.watchdog("--check") == (1, "chronos led elsewhere")
    doubles.watchdog()
    assert doubles.asked() == ["stop chronos.service"]


@pytest.mark.slow
@pytest.mark.parametrize("leader", ["//10.20.0.5:5050", "", "/"])
def test_a_master_that_knows_no_leader_stops_it_the_second_time_and_is_healthy_without_it(
    doubles: Doubles, leader: str
) -> None:
    doubles.elected, doubles.leader = 0.0, leader
    assert doubles.watchdog("--check") == (1, "chronos elsewhere")
    doubles.watchdog()
    assert doubles.asked() == []
    doubles.watchdog()
    assert doubles.asked() == ["stop chronos.service"]

    doubles.runs(yes=False)
    assert doubles.watchdog("--check") == (0, "")
    doubles.watchdog()
    assert doubles.asked() == []


@pytest.mark.parametrize("state", ["activating", "reloading"])
def test_one_that_ends_at_each_start_is_stopped_where_the_master_does_not_lead(
    doubles: Doubles, state: str
) -> None:
    doubles.elected = 0.0
    doubles.unit(state)
    assert doubles.watchdog("--check") == (1, "chronos elsewhere")
    doubles.watchdog()
    doubles.watchdog()
    assert doubles.asked() == ["stop chronos.service"]


def test_one_that_ends_at_each_start_is_not_healthy_where_the_master_leads(doubles: Doubles) -> None:
    doubles.unit("activating")
    doubles.answers = False
    assert doubles.watchdog("--check") == (1, "chronos does not answer")


def test_a_frozen_framework_is_told_at_once_and_restarted_in_the_end(doubles: Doubles) -> None:
    doubles.active = False
    assert doubles.watchdog("--check") == (1, "chronos has no active framework")
    assert doubles.watchdog() == (0, "")
    note = json.loads(doubles.node.at("/run/chronos-watchdog.json").read_text())
    doubles.node.put("/run/chronos-watchdog.json", json.dumps(note | {"runs": 5}))
    assert doubles.watchdog() == (0, "chronos has no active framework: restart")
    assert doubles.asked() == ["restart chronos.service"]


def test_a_silent_chronos_is_told(doubles: Doubles) -> None:
    doubles.answers = False
    assert doubles.watchdog("--check") == (1, "chronos does not answer")
    assert doubles.watchdog() == (0, "")


def verbs(*states: str) -> list[str]:
    """What the watchdog asks of systemctl in one run after the other."""
    watch = runpy.run_path(str(TEMPLATE_FOLDER / "chronos" / "chronos-watchdog"))["watch"]
    note: dict[str, object] = {}
    return [watch(note, state) for state in states]


FROZEN, SILENT = "has no active framework", "does not answer"


def test_a_frozen_framework_is_believed_at_the_sixth_look_in_a_row() -> None:
    assert verbs(*[FROZEN] * 6) == [""] * 5 + ["restart"]
    assert verbs(*[FROZEN] * 5, "well", *[FROZEN] * 5) == [""] * 11


def test_a_silent_chronos_has_fifteen_minutes_to_download_its_image() -> None:
    assert verbs(*[SILENT] * 45) == [""] * 44 + ["restart"]


def test_restarts_are_bounded_to_three_an_hour() -> None:
    assert [verb for verb in verbs(*[FROZEN] * 60) if verb] == ["restart"] * 3
