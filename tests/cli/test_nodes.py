"""`nodes plan` on recorded outputs; doubles of terraform and ssh, the latter runs what it is given here.

tests/rollout has real sshds, and nodes that change.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.cli.main import main
from constructs_lib.components.model import Role
from constructs_lib.plan.lock import read_lock, write_lock
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.roll.site import Site
from constructs_lib.rollout.changes import Change
from constructs_lib.rollout.cluster import Nodes
from constructs_lib.rollout.remote import NodeShell
from constructs_lib.rollout.survey import NodeState
from constructs_lib.rollout.targets import Target
from constructs_lib.rollout.wanted import Generation, secret_source, wanted
from constructs_lib.secrets.values import new_value
from constructs_lib.spec.load import load
from tests.cli.test_show import answer
from tests.nodes.node import Node
from tests.rollout.nodes import CONF, generation

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAtWHj8rtM8QGUNPFcZG/fTVYiYrfsKyKF6Ya+W74bef ops@example.org"
CLUSTER = f"""\
name: demo
sites:
  eu:
    platform: aws
    aws: {{region: eu-west-3}}
    network: 10.20.0.0/16
    masters: {{count: 1}}
    agents: {{}}
admin:
  networks: [203.0.113.0/24]
  ssh_keys: [{KEY}]
"""
SSH_DOUBLE = """#!/bin/sh
# Double of ssh: what a host is told runs here; sudo, which it is told to run, lets everybody.
while [ "$1" != -- ]; do shift; done; shift
if [ -e {folder}/unreachable ]; then
    echo "ssh: connect to host 10.20.0.11 port 22: Connection timed out" >&2
    exit 255
fi
sudo() {{ shift; "$@"; }}
eval "$*"
"""


class Deployed:
    """A deployed cluster with one folder per node; `names` are those that run."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.plan = plan(load(folder / "cluster.yaml")).site("eu")
        nodes = {
            node.name: {"role": node.role.value, "zone": node.zone.name, "address": str(node.address)}
            for node in self.plan.nodes
        }
        self.late = {late.name: f"vol-{number}" for number, late in enumerate(self.plan.late_values)}
        self.output: dict[str, Any] = {
            "cluster": "demo",
            "site": "eu",
            "platform": "aws",
            "nodes": nodes,
            "gateway": {"name": "gateway-1", "address": "10.20.0.11", "public_address": "192.0.2.7"},
            "login": {"user": "ops"},
            "late_values": self.late,
        }
        answer(folder, monkeypatch, {"cluster": {"value": self.output}})
        for node in self.plan.nodes:
            self.boot(node.name, wanted(self.plan, node, secret_source(self.plan), self.late))

    def root(self, name: str) -> Path:
        return self.folder / "nodes" / name

    def boot(self, name: str, generation: Generation) -> None:
        """As clustermesos-apply leaves it."""
        state = self.root(name) / "var/lib/clustermesos"
        kept = state / "generations/1"
        for path, text in generation.files.items():
            for place in (kept / "files", self.root(name)):
                target = place / path.lstrip("/")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(text, newline="")
        (kept / "manifest.json").write_text(generation.manifest)
        for secret in generation.manifest_data["secrets"]:
            target = self.root(name) / secret["path"].lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("old value of a secret")
        for link in ("wanted", "applied"):
            (state / link).symlink_to("generations/1")


@pytest.fixture
def deployed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    monkeypatch.chdir(tmp_path)
    for name in ("CLUSTERMESOS_FILE", "CLUSTERMESOS_SSH_KEY", "CDKTF_OUTDIR"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    stack = tmp_path / "cdktf.out" / "stacks" / "demo-eu"
    (stack / ".terraform").mkdir(parents=True)
    (stack / "secrets.auto.tfvars.json").write_text(
        json.dumps({"gateway_ssh_host_key_eu": new_value("ssh_host_key")})
    )
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(SSH_DOUBLE.format(folder=tmp_path))
    (programs / "ssh").chmod(0o755)
    (programs / "python3").symlink_to(sys.executable)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    found = Deployed(tmp_path, monkeypatch)

    def shell(self: Nodes, target: Target) -> NodeShell:
        site: Site = self.sites[target.site]
        return NodeShell(ssh=site.ssh, login=target.machine.login, root=str(found.root(target.name)))

    monkeypatch.setattr(Nodes, "shell", shell)
    return found


def edit(deployed: Deployed, old: str, new: str) -> None:
    file = deployed.folder / "cluster.yaml"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_nothing_to_change_is_0_and_said(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["nodes", "plan"]) == 0
    out = capsys.readouterr().out
    assert "master-1.eu   up to date" in out
    assert out.endswith(f"Plan: 0 to change, {len(deployed.plan.nodes)} up to date.\n")


def test_another_admin_network_changes_the_gateways_firewall_and_ends_with_2(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(deployed, "203.0.113.0/24", "198.51.100.0/24")
    assert main(["nodes", "plan", "--diff"]) == 2
    out = capsys.readouterr().out
    assert "  ~ /etc/clustermesos/firewall.nft  restarts clustermesos-firewall.service\n" in out
    assert "\n      -" in out
    assert "198.51.100.0/24" in out
    assert "Plan: 1 to change" in out


def test_a_rotated_secret_is_named_and_never_shown(
    deployed: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_VAR_zookeeper_super_password", "new value of a secret")
    assert main(["nodes", "plan", "masters", "--diff"]) == 2
    out = capsys.readouterr().out
    assert "  ~ secret zookeeper_super_password  another value; restarts zookeeper.service\n" in out
    assert "value of a secret" not in out


def test_json_says_the_same_for_a_program(deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    edit(deployed, "203.0.113.0/24", "198.51.100.0/24")
    assert main(["nodes", "plan", "--json", "gateway"]) == 2
    document = json.loads(capsys.readouterr().out)
    (node,) = document["nodes"]
    assert (document["format"], document["changes"]) == (1, 1)
    assert (node["name"], node["state"], node["generation"]) == ("gateway-1", "changes", 1)
    assert {change["name"] for change in node["changes"]} == {
        "/etc/clustermesos/firewall.nft",
        "/etc/clustermesos/firewall-closed.nft",
    }


def test_nodes_that_are_not_reached_end_with_1_and_are_told(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    (deployed.folder / "unreachable").touch()
    assert main(["nodes", "plan"]) == 1
    out = capsys.readouterr().out
    assert "master-1.eu   not known: ssh: connect to host" in out
    assert "is your network among admin.networks" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mastres"], "nodes: got 'mastres', expected one of masters, consul, agents, edges, gateway, "),
        (["--site", "us"], "site: got 'us', expected one of ['eu']"),
    ],
)
def test_wrong_input_ends_with_1_since_2_means_changes(
    deployed: Deployed, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(["nodes", "plan", *arguments]) == 1
    assert said in capsys.readouterr().err


def test_a_wrong_call_does_not_look_like_changes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["nodes", "plan", "--no-such-option"])
    assert ended.value.code == 1


def test_apply_without_a_terminal_needs_yes_and_changes_nothing(
    deployed: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    edit(deployed, "203.0.113.0/24", "198.51.100.0/24")
    assert main(["nodes", "apply"]) == 1
    captured = capsys.readouterr()
    assert "Plan: 1 to change" in captured.out
    assert "There is no terminal to answer at: say --yes. Nothing was changed" in captured.err
    assert not (deployed.root("gateway-1") / "var/lib/clustermesos/rollout.lock").exists()


def test_apply_and_rollback_with_nothing_to_do_end_with_0(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["nodes", "apply", "--yes"]) == 0
    assert "Plan: 0 to change" in capsys.readouterr().out
    assert main(["nodes", "rollback", "--yes"]) == 0
    assert "nothing to go back to" in capsys.readouterr().out


def test_apply_is_refused_while_a_node_is_not_known(
    deployed: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    (deployed.folder / "unreachable").touch()
    assert main(["nodes", "apply", "--yes"]) == 1
    assert "not known, see above; nothing was changed" in capsys.readouterr().err


def test_a_planned_node_that_is_not_deployed_is_told(
    deployed: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    del deployed.output["nodes"]["consul-1"]
    answer(deployed.folder, monkeypatch, {"cluster": {"value": deployed.output}})
    assert main(["nodes", "plan"]) == 0
    assert "consul-1.eu   planned, not deployed yet: cdktf deploy" in capsys.readouterr().out


@pytest.mark.slow
def test_five_masters_instead_of_three_are_let_in_after_the_running_ones_know_the_quorum(
    deployed: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The masters are said to have the quorum already: these nodes are doubles that nothing changes."""
    edit(deployed, "masters: {count: 1}", "masters: {count: 3}")
    monkeypatch.setattr("constructs_lib.rollout.cluster.with_quorum", lambda cluster, growing: cluster)
    shutil.rmtree(deployed.folder / "nodes")
    grown = Deployed(deployed.folder, monkeypatch)
    write_lock(deployed.folder / "cluster.lock.json", plan(load(deployed.folder / "cluster.yaml")).lock)
    assert grown.plan.quorum == 2
    assert main(["nodes", "plan"]) == 0

    edit(deployed, "masters: {count: 3}", "masters: {count: 5}")
    assert main(["nodes", "plan"]) == 2
    assert "Masters of eu: 3 become 5, step 1 of 3" in capsys.readouterr().out
    assert main(["nodes", "plan", "--json"]) == 2
    masters = json.loads(capsys.readouterr().out)["masters"]
    assert masters == [{"site": "eu", "old": 3, "new": 5}]
    assert main(["nodes", "apply", "--yes"]) == 0
    out = capsys.readouterr().out
    assert "eu may have 5 masters now; commit this file. Next: cdktf deploy makes master-4, master-5" in out
    lock = read_lock(deployed.folder / "cluster.lock.json")
    assert lock
    assert lock.sites["eu"].masters == 5

    # Step 3 waits for the new ones: the old would count on servers that do not exist.
    assert main(["nodes", "apply", "masters", "--yes"]) == 1
    assert "master-4, master-5 of eu: planned, not deployed" in capsys.readouterr().err


@pytest.fixture
def small(deployed: Deployed, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """The same nodes with one file each, which the real clustermesos-apply can change in their folders."""

    def one_file(plan: SitePlan, node: NodePlan | PoolPlan, *_: object, **__: object) -> Generation:
        networks = ", ".join(str(network) for network in plan.admin.networks)
        return generation({CONF: f"{node.name}: {networks}\n"})

    monkeypatch.setattr("constructs_lib.rollout.targets.wanted", one_file)
    shutil.rmtree(deployed.folder / "nodes")
    programs = Node(deployed.folder / "programs")
    for name in ("systemctl", "journalctl"):
        (deployed.folder / "programs" / name).symlink_to(programs.doubles / name)
    monkeypatch.setenv("DOUBLES", str(programs.doubles))
    for node in deployed.plan.nodes:
        deployed.boot(node.name, one_file(deployed.plan, node))
    return deployed


def conf(deployed: Deployed, name: str) -> str:
    return (deployed.root(name) / CONF.lstrip("/")).read_text()


@pytest.mark.slow
def test_apply_changes_every_node_and_rollback_takes_it_back(
    small: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(small, "203.0.113.0/24", "198.51.100.0/24")
    assert main(["nodes", "apply", "--yes", "--gate", "true"]) == 0
    out = capsys.readouterr().out
    assert "Change consul-1, master-1, gateway-1, one at a time?" in out
    assert out.endswith("done: consul-1, master-1, gateway-1\n")
    assert conf(small, "master-1") == "master-1: 198.51.100.0/24\n"
    assert main(["nodes", "plan"]) == 0

    capsys.readouterr()
    assert main(["nodes", "rollback", "--yes", "--gate", "true"]) == 0
    assert capsys.readouterr().out.endswith("done: gateway-1, master-1, consul-1\n")
    assert conf(small, "master-1") == "master-1: 203.0.113.0/24\n"
    assert main(["nodes", "plan"]) == 2


def test_apply_of_one_node_leaves_the_others_alone(
    small: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(small, "203.0.113.0/24", "198.51.100.0/24")
    assert main(["nodes", "apply", "gateway", "--yes", "--gate", "true"]) == 0
    assert conf(small, "gateway-1") == "gateway-1: 198.51.100.0/24\n"
    assert conf(small, "master-1") == "master-1: 203.0.113.0/24\n"


@pytest.mark.slow
def test_a_gate_that_says_no_stops_before_the_first_node(
    small: Deployed, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(small, "203.0.113.0/24", "198.51.100.0/24")
    gate = '[ "$NODE" != consul-1 ] || { echo "out of memory" >&2; exit 1; }'
    assert main(["nodes", "apply", "--yes", "--gate", gate, "--gate-timeout", "1"]) == 1
    err = capsys.readouterr().err
    assert "consul-1 was changed, and after 1 seconds not all are healthy:" in err
    assert "  consul-1: the gate command ended with 1: out of memory" in err
    assert "Stopped at consul-1. Done before: none. Not touched: master-1, gateway-1." in err
    assert conf(small, "master-1") == "master-1: 203.0.113.0/24\n"


DOCKER = Change(
    kind="file",
    action="change",
    name="/etc/docker/daemon.json",
    restarts="docker.service",
    ends="all containers on this node",
)


def have_docker_restarted(deployed: Deployed, monkeypatch: pytest.MonkeyPatch, role: Role) -> None:
    """The gateway stands for a node of `role` whose apply, and whose rollback, restart Docker."""
    survey = Nodes.survey

    def states(self: Nodes) -> tuple[NodeState, ...]:
        found = [state for state in survey(self) if state.target.name == "gateway-1"]
        return tuple(
            replace(state, target=replace(state.target, role=role), changes=(DOCKER,)) for state in found
        )

    monkeypatch.setattr(Nodes, "survey", states)
    monkeypatch.setattr("constructs_lib.rollout.changes.changes_back", lambda seen: (DOCKER,))
    monkeypatch.setattr("constructs_lib.rollout.run.can_go_back", lambda seen: True)


@pytest.mark.parametrize("verb", ["apply", "rollback"])
def test_agents_have_docker_restarted_only_where_that_is_said(
    deployed: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    have_docker_restarted(deployed, monkeypatch, Role.AGENT)

    # Without a terminal nobody confirms: how far it comes is what is asked here.
    assert main(["nodes", verb, "gateway"]) == 1
    captured = capsys.readouterr()
    assert "restarts docker.service; ends all containers on this node" in captured.out
    assert (
        "gateway-1: Docker would be restarted, which ends all containers on this node, tasks" in captured.err
    )
    assert "say --restart-docker" in captured.err
    assert "terminal" not in captured.err

    assert main(["nodes", verb, "gateway", "--restart-docker"]) == 1
    assert "There is no terminal to answer at" in capsys.readouterr().err


def test_other_nodes_have_docker_restarted_by_the_plan_alone(
    deployed: Deployed, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    have_docker_restarted(deployed, monkeypatch, Role.MASTER)

    assert main(["nodes", "apply", "gateway"]) == 1
    captured = capsys.readouterr()
    assert "ends all containers on this node" in captured.out
    assert "There is no terminal to answer at" in captured.err
