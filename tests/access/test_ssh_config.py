"""The files that ssh reads, as text; test_ssh.py has ssh itself read them."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from constructs_lib.access.deployed import Deployed
from constructs_lib.access.ssh_config import Folder, hosts_of, known_gateways, ssh_config, write
from constructs_lib.errors import ToolError

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAtWHj8rtM8QGUNPFcZG/fTVYiYrfsKyKF6Ya+W74bef"


def deployed(site: str = "eu", machine: str = "i-1", *nodes: str) -> Deployed:
    names = nodes or ("gateway-1", "master-1")
    return Deployed.model_validate(
        {
            "cluster": "demo",
            "site": site,
            "platform": "aws",
            "nodes": {
                name: {"role": "x", "zone": "a", "address": f"10.0.0.{index}", "instance_id": machine}
                for index, name in enumerate(names, 1)
            },
            "gateway": {"name": "gateway-1", "address": "10.0.0.1", "public_address": "192.0.2.7"},
            "login": {"user": "ops"},
        }
    )


def test_nodes_are_reached_through_the_gateway_and_the_gateway_at_its_public_address() -> None:
    gateway, master = hosts_of([deployed()], {"eu": KEY})
    assert (gateway.address, gateway.via, gateway.host_key) == ("192.0.2.7", None, KEY)
    assert (master.address, master.via, master.host_key) == ("10.0.0.2", "gateway-1.eu", None)
    assert master.names == ("master-1.eu", "master-1")


def test_a_name_that_two_sites_have_is_only_known_with_its_site() -> None:
    hosts = hosts_of([deployed("eu"), deployed("dc1", "i-2", "gateway-1", "consul-1")], {})
    assert [host.names for host in hosts] == [
        ("gateway-1.eu",),
        ("master-1.eu", "master-1"),
        ("gateway-1.dc1",),
        ("consul-1.dc1", "consul-1"),
    ]


def test_a_replaced_machine_is_another_one_and_a_replaced_gateway_the_same() -> None:
    before, after = hosts_of([deployed(machine="i-1")], {}), hosts_of([deployed(machine="i-2")], {})
    assert before[0].identity == after[0].identity
    assert before[1].identity != after[1].identity


def with_agent(machine: str, site: str = "dc1") -> Deployed:
    agents = {"general-1": {"id": machine, "address": "10.0.32.4"}}
    pools = {"general": {"min": 1, "max": 1, "agents": agents}}
    return Deployed.model_validate(deployed(site).model_dump() | {"pools": pools})


def test_agents_with_a_name_are_known_by_it_and_a_replaced_one_is_another() -> None:
    """`nodes apply` tells of them by name as well, which must not hide that the machine is another one."""
    told = {"dc1": {"general-1": "10.0.32.4"}}
    *_, before = hosts_of([with_agent("i-1")], {}, told)
    *_, after = hosts_of([with_agent("i-2")], {}, told)

    assert (before.names, before.address) == (("general-1.dc1", "general-1"), "10.0.32.4")
    assert before.identity != after.identity


def test_agents_of_one_name_in_two_sites_are_only_known_with_their_site() -> None:
    hosts = hosts_of([with_agent("i-1"), with_agent("i-2", "dc2")], {})
    assert [host.names for host in hosts if "general" in host.names[0]] == [
        ("general-1.dc1",),
        ("general-1.dc2",),
    ]


def test_agents_are_known_by_their_id() -> None:
    *_, agent = hosts_of([deployed()], {}, {"eu": {"i-0abc": "10.0.32.5"}})
    assert (agent.names, agent.address, agent.via) == (("i-0abc.eu", "i-0abc"), "10.0.32.5", "gateway-1.eu")


def test_a_site_without_a_gateway_has_nobody_to_log_in_to() -> None:
    site = deployed().model_copy(update={"gateway": None})
    assert hosts_of([site], {}) == ()


def test_the_gateway_is_checked_strictly_and_nothing_turns_checking_off(tmp_path: Path) -> None:
    text = ssh_config(hosts_of([deployed()], {"eu": KEY}), Folder(tmp_path))
    gateway, master = text.split("Host ")[1:3]
    assert "StrictHostKeyChecking yes" in gateway
    assert "known_gateways" in gateway
    assert "StrictHostKeyChecking accept-new" in master
    assert "StrictHostKeyChecking no" not in text
    assert "StrictHostKeyChecking off" not in text


def test_programs_are_never_asked(tmp_path: Path) -> None:
    text = ssh_config(hosts_of([deployed()], {}), Folder(tmp_path), batch=True)
    assert text.index("BatchMode yes") < text.index("Host ")
    assert f"ProxyCommand ssh -F {tmp_path}/ssh_batch_config " in text
    assert f"{tmp_path}/ssh_config" not in text


def test_only_gateways_have_a_planned_key() -> None:
    assert known_gateways(hosts_of([deployed()], {"eu": KEY})) == f"demo-gateway-1.eu {KEY}\n"


def test_files_are_private_and_learnt_keys_stay(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    hosts = hosts_of([deployed()], {"eu": KEY})
    write(hosts, folder)
    folder.known_nodes.write_text("learnt\n")
    write(hosts, folder)
    assert folder.known_nodes.read_text() == "learnt\n"
    files = [folder.config, folder.batch_config, folder.known_gateways, folder.known_nodes]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert sorted(tmp_path.iterdir()) == sorted(files)


@pytest.mark.parametrize("name", ['a"b', "a\nb", "${HOME}"])
def test_a_folder_that_ssh_cannot_be_told_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ToolError, match="move the cluster's folder"):
        ssh_config(hosts_of([deployed()], {}), Folder(tmp_path / name))
