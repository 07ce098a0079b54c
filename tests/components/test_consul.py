"""A real server and a real client, started from the files of a Consul node and of an agent."""

from __future__ import annotations

import json
import socket
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from constructs_lib.components.consul import CONSUL
from constructs_lib.components.model import AptPackages, ResolvedSoftware, Role
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.components.consul_here import CLIENT, CLUSTER, PLANNED, SERVER, Agent, values
from tests.nodes.clusters import HYBRID, WHOLE, nodes


@pytest.mark.parametrize("files", [SERVER, CLIENT], ids=["server", "client"])
def test_consul_validates_the_files(consul: Path, tmp_path: Path, files: NodeFiles) -> None:
    agent = Agent(consul, tmp_path, files, values(CLUSTER.secrets))
    agent.configure(1)

    done = subprocess.run(
        [consul, "validate", *(file.removeprefix("-config-file=") for file in agent.config_files())],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Configuration is valid!" in done.stdout


def test_the_completed_file_is_private_and_holds_every_secret_that_the_agent_needs(server: Agent) -> None:
    path = server.at("/run/consul/secrets.json")
    completed = json.loads(path.read_text())

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert completed["encrypt"] == server.secret("gossip-key")
    assert completed["acl"]["tokens"]["initial_management"] == server.secret("management")


def test_no_rendered_file_of_any_node_names_a_value_that_only_secrets_have() -> None:
    for node in nodes(PLANNED):
        for file in render(PLANNED, node).files:
            assert '"encrypt": "$gossip"' in file.content or '"encrypt"' not in file.content


def test_a_secret_that_is_missing_stops_consul_before_it_starts_without_one(
    consul: Path, tmp_path: Path
) -> None:
    agent = Agent(consul, tmp_path, CLIENT, values(CLUSTER.secrets))
    agent.at("/etc/consul/secrets/gossip-key").unlink()

    done = agent.run_script("/usr/local/libexec/consul-config")

    assert done.returncode != 0
    assert "gossip-key" in done.stderr
    assert not agent.at("/run/consul/secrets.json").exists()


def test_no_secret_of_roots_lies_where_the_package_gives_all_files_to_consul_at_each_version() -> None:
    for node in nodes(PLANNED):
        files = render(PLANNED, node)
        placed = [(secret.path, secret.owner) for secret in files.secrets]
        placed += [(directory.path, directory.owner) for directory in files.directories]
        assert [
            path for path, owner in placed if path.startswith("/etc/consul.d") and owner != "consul"
        ] == []
        assert "consul" not in {owner for path, owner in placed if path.startswith("/etc/consul/")}


def test_a_node_trusts_the_authority_without_keeping_its_own_boot_waiting() -> None:
    for files in (SERVER, CLIENT):
        unit = files.file("/etc/systemd/system/cluster-authority.service").content
        assert "ExecStart=/usr/local/libexec/cluster-authority\n" in unit
        assert "Type=exec\n" in unit


def test_the_client_joins_and_registers_itself(server: Agent, client: Agent) -> None:
    token = server.secret("agent")

    client.wait("its node in the catalogue", lambda: '"general"' in server.ask("catalog/nodes", token)[1])
    assert CLIENT.name == "general"


def test_a_service_registered_with_the_service_token_has_a_name_in_dns(server: Agent, client: Agent) -> None:
    service = json.dumps({"Name": "web", "Port": 8080, "Address": "192.0.2.7"}).encode()
    assert client.ask("agent/service/register", "", "PUT", service)[0] == 403
    assert client.ask("agent/service/register", client.secret("service"), "PUT", service)[0] == 200

    client.wait("its address", lambda: "192.0.2.7" in addresses(client.ports["dns"], "web.service.consul"))


def test_servers_keep_their_state_on_the_data_volume_and_wait_for_it() -> None:
    unit = SERVER.file("/etc/systemd/system/consul.service").content

    assert "RequiresMountsFor=/srv/data/consul\n" in unit
    assert "RequiresMountsFor" not in CLIENT.file("/etc/systemd/system/consul.service").content
    assert not any(directory.path.startswith("/srv/data") for directory in CLIENT.directories)


def test_only_servers_make_tokens_and_snapshots() -> None:
    units = {stage.component: stage.units for stage in CLIENT.stages}

    assert units["consul"] == ("systemd-resolved.service", "cluster-authority.service", "consul.service")
    assert not any("consul-acl" in file.path or "snapshot" in file.path for file in CLIENT.files)
    assert "consul_management_token_eu" not in {secret.name for secret in CLIENT.secrets}


def test_every_server_expects_as_many_as_are_planned() -> None:
    three = plan(ClusterSpec.model_validate(_with_consul(3))).site("eu")
    for node in three.nodes_of(Role.CONSUL):
        settings = json.loads(render(three, node).file("/etc/consul.d/consul.json").content)
        assert settings["bootstrap_expect"] == 3
        assert settings["retry_join"][:3] == [str(address) for address in three.consul]


def test_a_server_that_knows_nobody_asks_masters_of_its_site_and_more_masters_do_not_change_that() -> None:
    three, five = (plan(ClusterSpec.model_validate(_with_masters(count))).site("eu") for count in (3, 5))
    masters = [str(node.address) for node in three.nodes_of(Role.MASTER)]
    (server,) = three.nodes_of(Role.CONSUL)
    text = render(three, server).file("/etc/consul.d/consul.json").content

    assert json.loads(text)["retry_join"] == [str(server.address), *masters]
    assert render(five, server).file("/etc/consul.d/consul.json").content == text
    assert json.loads(CLIENT.file("/etc/consul.d/consul.json").content)["retry_join"] == [str(server.address)]


def test_a_server_of_another_site_asks_none_of_the_home_sites_masters() -> None:
    for site in plan(ClusterSpec.model_validate(HYBRID)).sites.values():
        here = {str(node.address) for node in site.nodes}
        for server in site.nodes_of(Role.CONSUL):
            settings = json.loads(render(site, server).file("/etc/consul.d/consul.json").content)
            assert set(settings["retry_join"]) <= here


def _with_masters(count: int) -> dict[str, object]:
    whole = json.loads(json.dumps(WHOLE))
    whole["sites"]["eu"] |= {"consul": {"count": 1}, "masters": {"count": count}}
    return dict(whole)


def _with_consul(count: int) -> dict[str, object]:
    whole = json.loads(json.dumps(WHOLE))
    whole["sites"]["eu"]["consul"] = {"count": count}
    return dict(whole)


def test_it_comes_pinned_from_its_own_repository_with_the_one_trusted_key() -> None:
    [packages] = [p for p in CLIENT.packages if p.component == "consul"]

    assert isinstance(CONSUL.software, AptPackages)
    assert packages.version == "1.22"
    assert packages.repository is not None
    assert packages.repository.uri == "https://apt.releases.hashicorp.com"


def test_a_machine_that_has_it_already_gets_no_package() -> None:
    software = {"components": {"consul": {"source": "preinstalled"}}}
    planned = plan(ClusterSpec.model_validate(WHOLE | {"software": software})).site("eu")

    assert planned.software["consul"] == ResolvedSoftware(source="preinstalled", version=None)
    assert not any(p.component == "consul" for p in render(planned, planned.pools[0]).packages)


def addresses(port: int, name: str) -> list[str]:
    """The A records of `name`, asked of 127.0.0.1:`port` by UDP."""
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0\0\1\0\1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.settimeout(5)
        asker.connect(("127.0.0.1", port))
        asker.send(struct.pack(">6H", 1, 0x100, 1, 0, 0, 0) + question)
        answer = asker.recv(4096)
    count, rest = struct.unpack(">H", answer[6:8])[0], answer[12 + len(question) :]
    found = []
    for _ in range(count):
        kind, length = struct.unpack(">H", rest[2:4])[0], struct.unpack(">H", rest[10:12])[0]
        if kind == 1:
            found.append(socket.inet_ntoa(rest[12 : 12 + length]))
        rest = rest[12 + length :]
    return found
