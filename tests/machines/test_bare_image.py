"""A node of every role from a cloud's image alone: what packages do where our accounts, files and units are.

The lab's other machines have all packages before they boot.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from constructs_lib.components.base import FIREWALL
from constructs_lib.components.model import Role
from constructs_lib.lab.commands import missing
from constructs_lib.lab.image import image
from constructs_lib.lab.keeper import KeptLab, connect, end, launch
from constructs_lib.lab.overrides import read_overrides
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import NodePlan, PoolPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from tests.lab.asking import LONG, consul, reboot, says, seen, until
from tests.lab.healthy import BOOT_SECONDS, HEALTHY_SECONDS
from tests.machines.conftest import JOURNALS

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]
CLUSTER = Path(__file__).with_name("bare.yaml")
INSTALLED = {
    "master-1": {"chrony", "zookeeper", "prometheus-node-exporter"},
    "consul-1": {"docker.io", "docker-registry", "prometheus"},
    "general-1": {"docker.io", "python3-venv"},
    "gateway-1": {"chrony", "prometheus-node-exporter"},
    "edge-1": {"nginx", "unattended-upgrades"},
}
"""Node → some of what its components install: what has a daemon or an account."""
OF_IMAGE = {"rsyslog.service", "systemd-resolved.service"}
"""What a cloud's image starts by itself."""
BEGAN = (
    *("journalctl", "-b", "-o", "json", "--output-fields=UNIT", "_PID=1"),
    # "Starting" and "Started".
    "MESSAGE_ID=7d4958e842da4a758f6c1cdc7b36dcc5",
    "MESSAGE_ID=39f53479d3a045ac8e11786248231fbf",
)
RUNNING = (
    "systemctl",
    "list-units",
    "--state=active",
    "--type=service,socket,timer",
    "--plain",
    "--no-legend",
)
SHOW = ("systemctl", "show", "--timestamp=unix", "-P", "InactiveExitTimestamp")
WELCOME = "curl -s -m 5 http://127.0.0.1/"
MTU = "docker run --rm drill /bin/busybox cat /sys/class/net/eth0/mtu"
BOX = "tar -c -C / bin/busybox | docker import - drill >/dev/null"


@pytest.fixture(scope="module")
def bare() -> Iterator[KeptLab]:
    """All are healthy after their first boot; nothing was tried again."""
    if reason := missing():
        pytest.skip(f"no lab: {reason}")
    folder = Path(tempfile.mkdtemp(prefix="clustermesos-"))
    workspace = Workspace(Path(shutil.copy(CLUSTER, folder)))
    process = launch(workspace, image(bare=True), tied=True)
    try:
        lab = connect(workspace)
        with JOURNALS.while_booting(lab, "bare"):
            lab.start()
            lab.wait(BOOT_SECONDS)
        yield lab
    finally:
        end(workspace, process)
        shutil.rmtree(folder)


def _started(lab: KeptLab, name: str, unit: str) -> int:
    """When the unit was started last, in seconds since 1970."""
    return int(says(lab, name, *SHOW, unit).removeprefix("@"))


def _began(lab: KeptLab, name: str) -> dict[str, float]:
    """When each unit was started first since the machine booted, in seconds since 1970."""
    began: dict[str, float] = {}
    for entry in map(json.loads, says(lab, name, *BEGAN).splitlines()):
        began.setdefault(entry.get("UNIT", ""), int(entry["__REALTIME_TIMESTAMP"]) / 1e6)
    return began


def _running(lab: KeptLab, name: str) -> set[str]:
    return {line.split()[0] for line in says(lab, name, *RUNNING).splitlines()}


def _rendered(lab: KeptLab) -> dict[str, NodeFiles]:
    site = plan(read_overrides().apply(load(CLUSTER))).site("eu")
    wanted: list[NodePlan | PoolPlan] = [*site.nodes, *site.pools]
    files = {node.name: render(site, node) for node in wanted}
    return {name: files.get(name) or files["general"] for name in lab.names()}


def _units(files: NodeFiles) -> set[str]:
    return {unit for stage in files.stages for unit in stage.units}


def test_a_node_of_every_role_becomes_healthy_by_what_its_first_boot_installs(bare: KeptLab) -> None:
    states = bare.states()

    assert {state.role for state in states} == {*Role}
    assert [state for state in states if state.word != "healthy" or state.errors] == []
    for name, packages in INSTALLED.items():
        log = says(bare, name, "cat", "/var/log/dpkg.log")
        assert {one for one in packages if f" install {one}:" not in log} == set(), name


def test_every_package_is_installed_whole_and_no_unit_has_failed(bare: KeptLab) -> None:
    for name in bare.names():
        assert says(bare, name, "dpkg", "--audit") == "", name
        assert says(bare, name, "systemctl", "--failed", "--plain", "--no-legend") == "", name


def test_accounts_that_packages_want_have_the_numbers_of_the_files_on_data_volumes(bare: KeptLab) -> None:
    users = {name: bare.identity(name).users for name in bare.names()}

    assert {"prometheus", "consul"} <= {user.name for user in users["consul-1"]}
    for name, wanted in users.items():
        for user in wanted:
            ids = says(bare, name, "sh", "-c", f"id -u {user.name}; id -g {user.name}").split()
            assert ids == [str(user.uid)] * 2, (name, user)


def test_nothing_starts_before_the_firewall_filters_and_its_own_settings_are_there(bare: KeptLab) -> None:
    for name, files in _rendered(bare).items():
        began = _began(bare, name)
        ours = _units(files) - OF_IMAGE
        assert FIREWALL in ours <= {*began}, (name, ours - {*began})
        assert [one for one in ours if began[one] < began[FIREWALL]] == [], name
        for file in files.files:
            if (file.restarts or file.reloads) in ours:
                written = float(says(bare, name, "stat", "-c", "%.6Y", file.path))
                assert began[file.restarts or file.reloads or ""] >= written, (name, file.path)
    asked = says(bare, "consul-1", "cat", "/var/log/apt/term.log")
    assert "policy-rc.d returned 101, not running 'start docker-registry.service'" in asked


def test_what_ran_in_the_image_runs_with_our_settings(bare: KeptLab) -> None:
    for name, files in _rendered(bare).items():
        for file in (file for file in files.files if file.restarts in _units(files)):
            written = int(says(bare, name, "stat", "-c", "%Y", file.path))
            assert _started(bare, name, file.restarts or "") >= written, (name, file.path)
    assert "Welcome to nginx" not in bare.run("edge-1", "sh", "-c", WELCOME).out
    site = plan(read_overrides().apply(load(CLUSTER))).site("eu")
    for name in ("consul-1", "general-1"):
        assert says(bare, name, "sh", "-c", f"{BOX} && {MTU}") == str(site.container_mtu), name


def test_no_package_finds_a_policy_of_ours_afterwards(bare: KeptLab) -> None:
    for name in bare.names():
        assert (
            says(bare, name, "sh", "-c", "ls /usr/sbin/policy-rc.d* /run/clustermesos-late || true") == ""
        ), name


def test_they_come_back_with_what_packages_have_enabled_all_of_which_ran_before(bare: KeptLab) -> None:
    before = {name: _running(bare, name) for name in bare.names()}
    with ThreadPoolExecutor(len(INSTALLED)) as pool:
        list(pool.map(partial(reboot, bare), bare.names()))
    bare.wait(HEALTHY_SECONDS)

    for name in bare.names():
        assert says(bare, name, "systemctl", "--failed", "--plain", "--no-legend") == "", name
        # clustermesos-apply itself runs for a while at a boot.
        seen(f"{name}: no more runs", LONG, partial(_running, bare, name), before[name].issuperset)


def test_a_consul_node_that_is_replaced_installs_everything_anew_and_keeps_its_data(bare: KeptLab) -> None:
    node, before = "consul-1", bare.run("consul-1", "cat", "/etc/machine-id").out
    until("a key is taken", LONG, lambda: consul(bare, node, "kv", "put", "shop/colour", "blue"))
    bare.destroy(node, keep_data=True)

    bare.rebuild(node)

    bare.wait(BOOT_SECONDS)
    assert says(bare, node, "cat", "/etc/machine-id") != before.strip()
    assert says(bare, node, "dpkg", "--audit") == ""
    seen("the key is there", LONG, lambda: consul(bare, node, "kv", "get", "shop/colour") == "blue")
