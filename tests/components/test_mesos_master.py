"""What a Mesos master is started with; the script that completes its secrets is run for real."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from constructs_lib.components.mesos_master import MESOS_MASTER
from constructs_lib.components.model import Role
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.double import Log
from constructs_lib.simulator.mesos_master import read_settings
from constructs_lib.spec.model import ClusterSpec
from tests.components.on_node import Root
from tests.components.test_flags import mesos_flags, sourced
from tests.nodes.clusters import WHOLE, site

HOSTS = "10.20.16.11:2181,10.20.80.12:2181,10.20.144.13:2181"
WHO = ("zookeeper", "operator", "agent", "marathon", "chronos")


def masters(case: str = "whole") -> list[NodeFiles]:
    planned = site(case)
    return [render(planned, node) for node in planned.nodes_of(Role.MASTER)]


def flags(files: NodeFiles) -> dict[str, str]:
    return mesos_flags(files.file("/etc/default/mesos-master").content)


def without_chronos() -> NodeFiles:
    software = {"components": {"chronos": {"enabled": False}}}
    planned = plan(ClusterSpec.model_validate(WHOLE | {"software": software})).site("eu")
    return render(planned, planned.nodes_of(Role.MASTER)[0])


def test_the_quorum_is_more_than_half_of_the_planned_masters() -> None:
    assert [flags(files)["quorum"] for files in masters()] == ["2", "2", "2"]
    assert flags(masters("small")[0])["quorum"] == "1"


def test_each_master_announces_its_planned_address_and_answers_its_health_check_on_loopback() -> None:
    planned = site("whole")
    for node, files in zip(planned.nodes_of(Role.MASTER), masters(), strict=True):
        assert flags(files)["advertise_ip"] == flags(files)["hostname"] == str(node.address)
        # Bound to one address alone it would not answer at 127.0.0.1.
        assert "ip" not in flags(files)
        zone = json.loads(flags(files)["domain"])["fault_domain"]
        assert zone == {"region": {"name": "eu"}, "zone": {"name": node.zone.name}}


def test_the_registry_lies_on_the_data_volume_and_never_on_the_folder_below_it() -> None:
    for files in masters():
        assert flags(files)["work_dir"] == "/srv/data/mesos-master" == MESOS_MASTER.state
        unit = files.file("/etc/systemd/system/mesos-master.service").content
        assert "RequiresMountsFor=/srv/data/mesos-master\n" in unit


def test_frameworks_agents_and_operators_have_to_log_in() -> None:
    for files in masters():
        wanted = {name for name, value in flags(files).items() if name.startswith("authenticate")}
        assert wanted == {
            "authenticate_agents",
            "authenticate_frameworks",
            "authenticate_http_frameworks",
            "authenticate_http_readwrite",
        }
        assert {flags(files)[name] for name in wanted} == {"true"}


def test_each_action_has_its_principals_and_is_closed_for_all_others() -> None:
    rules = json.loads(masters()[0].file("/etc/mesos/acls.json").content)

    assert rules.pop("permissive") is True
    assert rules["register_frameworks"][0]["principals"] == {"values": ["marathon", "chronos"]}
    assert rules["register_agents"][0] == {"principals": {"values": ["agent"]}, "agents": {"type": "ANY"}}
    assert rules["drain_agents"][0]["principals"] == {"values": ["operator"]}
    for action, (_, last) in rules.items():
        assert last["principals"] == {"type": "NONE"}, action
        assert [value for name, value in last.items() if name != "principals"] == [{"type": "ANY"}], action


def test_output_goes_to_the_journal_and_not_to_a_folder_that_fills() -> None:
    for files in masters():
        assert files.file("/etc/mesos-master/?no-logger").content
        assert "log_dir" not in flags(files)


def test_nothing_but_the_switch_lies_where_every_file_becomes_a_flag() -> None:
    for files in masters():
        paths = [file.path for file in files.files if file.path.startswith("/etc/mesos-master/")]
        assert paths == ["/etc/mesos-master/?no-logger"]


@pytest.fixture
def node(tmp_path: Path) -> Root:
    root = Root(tmp_path)
    root.at("/run/mesos-master").mkdir(parents=True)
    for who in WHO:
        root.put(f"/etc/mesos/secrets/{who}", f"{who}-Secret_1")
    return root


def test_the_node_completes_credentials_and_address_in_files_of_roots_alone(node: Root) -> None:
    done = node.complete(masters()[0], "mesos-master.service")

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert node.at("/run/mesos-master/zk").read_text() == f"zk://mesos:zookeeper-Secret_1@{HOSTS}/mesos"
    assert json.loads(node.at("/run/mesos-master/credentials.json").read_text()) == {
        "credentials": [{"principal": who, "secret": f"{who}-Secret_1"} for who in WHO[1:]]
    }
    for path in node.at("/run/mesos-master").iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.name in ("zk", "credentials.json")


def test_without_chronos_there_is_no_principal_for_it(node: Root) -> None:
    node.complete(without_chronos(), "mesos-master.service")

    known = json.loads(node.at("/run/mesos-master/credentials.json").read_text())["credentials"]
    assert [each["principal"] for each in known] == ["operator", "agent", "marathon"]
    assert "chronos" not in without_chronos().file("/etc/mesos/acls.json").content


@pytest.mark.parametrize("value", ["", "a b", 'a"b', "a@b", "a/b", "a\\b", "ä", "a\nb"])
def test_a_secret_that_would_change_the_files_meaning_is_refused_by_name_and_not_shown(
    node: Root, value: str
) -> None:
    node.put("/run/mesos-master/credentials.json", "the former ones")
    node.put("/etc/mesos/secrets/marathon", value)

    done = node.complete(masters()[0], "mesos-master.service")

    assert done.returncode == 1
    assert done.stderr.endswith("/etc/mesos/secrets/marathon: expected letters, digits and . _ ~ - alone\n")
    assert not value or value not in done.stderr
    assert node.at("/run/mesos-master/credentials.json").read_text() == "the former ones"


def test_no_rendered_file_holds_a_password_and_no_command_line_either() -> None:
    for files in masters():
        assert not any(re.search(r"zk://\w+:(?!@@/)", file.content) for file in files.files)


def test_the_double_of_the_master_which_refuses_what_mesos_would_takes_flags_credentials_and_rules(
    node: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    files = masters()[0]
    node.complete(files, "mesos-master.service")
    node.put("/etc/mesos/acls.json", files.file("/etc/mesos/acls.json").content)
    text = files.file("/etc/default/mesos-master").content
    environ = sourced(re.sub("(/run/|/etc/|/srv/)", rf"{node.folder}\1", text))

    settings = read_settings([], environ, Log("mesos-master"))

    assert settings.quorum == 2
    assert settings.zk is not None
    assert (settings.zk.servers, settings.zk.path) == (HOSTS, "/mesos")
    assert settings.principals == {who: f"{who}-Secret_1" for who in WHO[1:]}
    assert settings.logins.read_write and not settings.logins.read_only
    assert settings.acls.allow("register_frameworks", "marathon", roles="*")
    assert not settings.acls.allow("register_frameworks", "agent", roles="*")
    assert not settings.acls.allow("register_frameworks", None, roles="*")
    assert settings.acls.allow("register_agents", "agent")
    assert not settings.acls.allow("drain_agents", "marathon", agents="S1")
    # It warns of an action that Mesos would ignore without a word.
    assert not re.search(r"(?m)^[WE]", capsys.readouterr().err)
