"""A real server and a real client, started from the files of a Consul node and of an agent."""

from __future__ import annotations

import base64
import json
import socket
import stat
import struct
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from constructs_lib.components.consul import CONSUL
from constructs_lib.components.model import AptPackages, ResolvedSoftware, Role
from constructs_lib.nodes.model import NodeFiles, Stage
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.certificates import certificate_alone, new_authority
from constructs_lib.spec.model import ClusterSpec
from tests.components.consul_here import Agent, values
from tests.nodes.clusters import WHOLE, nodes
from tests.nodes.test_health import outcomes

CLUSTER = plan(ClusterSpec.model_validate(WHOLE))
PLANNED = CLUSTER.site("eu")
SERVER = render(PLANNED, PLANNED.nodes_of(Role.CONSUL)[0])
CLIENT = render(PLANNED, PLANNED.pools[0])


@pytest.fixture(scope="module")
def server(consul: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    agent = Agent(consul, tmp_path_factory.mktemp("server"), SERVER, values(CLUSTER.secrets))
    agent.configure(agent.ports["serf_lan"])
    agent.start()
    try:
        agent.wait("a leader", agent.has_leader)
        yield agent
    finally:
        agent.stop()


@pytest.fixture(scope="module")
def acl(server: Agent) -> subprocess.CompletedProcess[str]:
    """The script that makes policies and tokens, run once."""
    return server.acl()


@pytest.fixture(scope="module")
def client(
    consul: Path, server: Agent, acl: object, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Agent]:
    agent = client_of(consul, server, tmp_path_factory.mktemp("client"))
    agent.start()
    try:
        agent.wait(
            "the server's address", lambda: f":{server.ports['server']}" in agent.ask("status/leader")[1]
        )
        yield agent
    finally:
        agent.stop()


def client_of(consul: Path, server: Agent, folder: Path, **other: str) -> Agent:
    """A client with the server's secrets, but for those in `other`."""
    theirs = {s.name: server.at(s.path).read_text() for s in SERVER.secrets}
    secrets = values(CLUSTER.secrets) | theirs | other
    agent = Agent(consul, folder, CLIENT, secrets)
    agent.configure(server.ports["serf_lan"])
    return agent


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


def test_policies_and_tokens_are_made_and_a_second_run_changes_nothing(
    server: Agent, acl: subprocess.CompletedProcess[str]
) -> None:
    management = server.secret("management")
    before = server.ask("acl/tokens", management)[1]

    again = server.acl()

    assert acl.returncode == 0, acl.stderr
    assert again.returncode == 0, again.stderr
    assert server.ask("acl/tokens", management)[1] == before
    assert [token["Description"] for token in json.loads(before)].count("agent") == 1


@pytest.mark.parametrize("name", ["agent", "metrics", "names", "service"])
def test_a_changed_secret_is_a_token_beside_the_former_one_until_that_is_revoked(
    server: Agent, acl: object, name: str
) -> None:
    path = server.at(f"/etc/consul.d/secrets/{name}")
    old, new = path.read_text(), str(uuid.uuid4())
    path.write_text(new)

    done = server.acl()

    assert done.returncode == 0, done.stderr
    assert [server.ask("acl/token/self", token)[0] for token in (old, new)] == [200, 200]
    path.write_text(old)
    assert server.acl("revoke").returncode == 0
    server.wait("its end", lambda: server.ask("acl/token/self", new)[0] == 403)
    assert server.ask("acl/token/self", old)[0] == 200


def test_a_management_token_that_consul_does_not_know_is_told_with_where_to_read(
    server: Agent, acl: object
) -> None:
    path = server.at("/etc/consul.d/secrets/management")
    old = path.read_text()
    path.write_text(str(uuid.uuid4()))

    done = server.acl(1)

    path.write_text(old)
    assert done.returncode == 1
    assert done.stderr.endswith("Consul does not know this node's management token, see docs/consul.md\n")


def test_a_member_is_healthy_only_while_consul_knows_its_tokens(server: Agent, acl: object) -> None:
    asking = [
        dict(check) for check in stage(SERVER).checks if not isinstance(check, str) and "bearer" in check
    ]

    assert [str(check["bearer"]).rpartition("/")[2] for check in asking] == ["agent", "service", "names"]
    for check in asking:
        path = server.at(str(check["bearer"]))
        url = str(check["url"]).replace(":8500", f":{server.ports['http']}")
        here = check | {"url": url, "bearer": str(path)}
        assert [found["wrong"] for found in outcomes(here)] == [""]
        old = path.read_text()
        path.write_text(str(uuid.uuid4()))
        [found] = outcomes(here)
        path.write_text(old)
        assert found["wrong"] == f"{url} with {path}: HTTP Error 403: Forbidden"


def test_a_secret_that_is_missing_stops_consul_before_it_starts_without_one(
    consul: Path, tmp_path: Path
) -> None:
    agent = Agent(consul, tmp_path, CLIENT, values(CLUSTER.secrets))
    agent.at("/etc/consul.d/secrets/gossip-key").unlink()

    done = agent.run_script("/usr/local/libexec/consul-config")

    assert done.returncode != 0
    assert "gossip-key" in done.stderr
    assert not agent.at("/run/consul/secrets.json").exists()


def test_a_node_trusts_the_authority_without_keeping_its_own_boot_waiting() -> None:
    for files in (SERVER, CLIENT):
        unit = files.file("/etc/systemd/system/cluster-authority.service").content
        assert "ExecStart=/usr/sbin/update-ca-certificates\n" in unit
        assert "Type=exec\n" in unit


def stage(files: NodeFiles) -> Stage:
    return next(stage for stage in files.stages if stage.component == "consul")


def documented(heading: str) -> str:
    """The first block of commands below a heading of docs/consul.md."""
    page = (Path(__file__).parents[2] / "docs/consul.md").read_text(encoding="utf-8")
    return page.partition(f"{heading}\n")[2].partition("```sh\n")[2].partition("```")[0]


def test_the_management_token_changes_as_the_docs_say(server: Agent, acl: object) -> None:
    path = server.at("/etc/consul.d/secrets/management")
    old, new = path.read_text(), str(uuid.uuid4())

    done = server.run_text(documented("### The management token"), said=f"{new}\n")

    assert done.returncode == 0, done.stderr
    assert new not in done.stdout + done.stderr
    path.write_text(new)
    assert server.acl("revoke").returncode == 0
    server.wait("the end of the old one", lambda: server.ask("acl/tokens", old)[0] == 403)
    assert server.ask("acl/tokens", new)[0] == 200


def test_the_gossip_key_changes_as_the_docs_say(server: Agent, acl: object) -> None:
    key = base64.b64encode(b"another-key-of-32-bytes-exactly!").decode()

    done = server.run_text(documented("### The gossip key"), said=f"{key}\n")
    ring = json.loads(server.ask("operator/keyring", server.secret("management"))[1])
    back = server.run_text(documented("### The gossip key"), said=f"{server.secret('gossip-key')}\n")

    assert back.returncode == 0, back.stderr
    assert done.returncode == 0, done.stderr
    assert key not in done.stdout + done.stderr
    assert [list(each["PrimaryKeys"]) for each in ring] == [[key]]


def test_without_a_leader_the_script_gives_up_in_time_and_says_why(consul: Path, tmp_path: Path) -> None:
    nobody = Agent(consul, tmp_path, SERVER, values(CLUSTER.secrets))

    done = nobody.acl(1)

    assert done.returncode == 1
    assert "consul-acl: gave up: " in done.stderr
    assert "Connection refused" in done.stderr
    assert nobody.secret("management") not in done.stderr


def test_nobody_without_a_token_may_do_anything(server: Agent, acl: object) -> None:
    assert server.ask("kv/secret", method="PUT", body=b"x")[0] == 403
    assert server.ask("kv/secret")[0] == 403
    assert server.ask("acl/tokens")[0] == 403
    assert server.ask("snapshot")[0] == 403
    assert json.loads(server.ask("catalog/nodes")[1]) == []


def test_the_agents_token_has_no_more_rights_than_an_agent_needs(server: Agent, acl: object) -> None:
    token = server.secret("agent")

    assert server.ask("catalog/nodes", token)[0] == 200
    assert server.ask("kv/secret", token)[0] == 403
    assert server.ask("acl/tokens", token)[0] == 403
    assert server.ask("snapshot", token)[0] == 403


def test_the_client_joins_and_registers_itself(server: Agent, client: Agent) -> None:
    token = server.secret("agent")

    client.wait("its node in the catalogue", lambda: '"general"' in server.ask("catalog/nodes", token)[1])
    assert CLIENT.name == "general"


def test_a_service_registered_with_the_service_token_has_a_name_in_dns(server: Agent, client: Agent) -> None:
    service = json.dumps({"Name": "web", "Port": 8080, "Address": "192.0.2.7"}).encode()
    assert client.ask("agent/service/register", "", "PUT", service)[0] == 403
    assert client.ask("agent/service/register", client.secret("service"), "PUT", service)[0] == 200

    client.wait("its address", lambda: "192.0.2.7" in addresses(client.ports["dns"], "web.service.consul"))


def test_a_client_with_another_gossip_key_stays_outside(consul: Path, server: Agent, tmp_path: Path) -> None:
    stranger = client_of(
        consul, server, tmp_path, consul_gossip_key="c3RyYW5nZXItc3RyYW5nZXItc3RyYW5nZXItMTIzNDU="
    )
    stranger.start()
    try:
        stranger.wait("a refusal", lambda: "No installed keys could decrypt" in server_log(server, stranger))
        assert stranger.ask("status/leader")[0] != 200
    finally:
        stranger.stop()


def test_a_client_of_another_authority_does_not_talk_to_the_server(
    consul: Path, server: Agent, acl: object, tmp_path: Path
) -> None:
    other = certificate_alone(new_authority("another"))
    stranger = client_of(consul, server, tmp_path, cluster_authority_certificate=other)
    stranger.start()
    try:
        stranger.wait(
            "a refusal", lambda: "certificate signed by unknown authority" in server_log(server, stranger)
        )
        assert f":{server.ports['server']}" not in stranger.ask("status/leader")[1]
    finally:
        stranger.stop()


def server_log(server: Agent, stranger: Agent) -> str:
    return (server.folder / "log").read_text() + (stranger.folder / "log").read_text()


def test_prometheus_reads_the_metrics_with_its_token_and_nobody_does_without(
    server: Agent, acl: object
) -> None:
    path = "agent/metrics?format=prometheus"

    assert server.ask(path)[0] == 403
    assert server.ask(path, server.secret("metrics"))[0] == 200
    server.wait("Raft's numbers", lambda: "consul_raft_" in server.ask(path, server.secret("metrics"))[1])


def test_a_snapshot_brings_back_what_was_deleted(server: Agent, acl: object) -> None:
    token = server.secret("management")
    folder = server.at("/srv/data/consul-snapshots")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "20200101T000000Z.snap").write_text("an old one")
    assert server.ask("kv/shop/colour", token, "PUT", b"blue")[0] == 200

    done = server.run_script("/usr/local/sbin/consul-snapshot")

    assert done.returncode == 0, done.stderr
    newest = sorted(folder.glob("*.snap"))[-1]
    assert stat.S_IMODE(newest.stat().st_mode) == 0o600
    server.ask("kv/shop/colour", token, "DELETE")
    assert server.ask("kv/shop/colour?raw", token)[0] == 404
    status, text = server.ask("snapshot", token, "PUT", newest.read_bytes())
    assert status == 200, text
    server.wait("the old value", lambda: server.ask("kv/shop/colour?raw", token) == (200, "blue"))


def test_only_the_newest_snapshots_are_kept(server: Agent, acl: object) -> None:
    folder = server.at("/srv/data/consul-snapshots")
    folder.mkdir(parents=True, exist_ok=True)
    # One of this very second would be replaced instead of kept beside the new one.
    for path in folder.glob("*.snap"):
        path.unlink()
    for day in range(1, 31):
        (folder / f"202001{day:02}T000000Z.snap").write_text("an old one")

    assert server.run_script("/usr/local/sbin/consul-snapshot").returncode == 0

    kept = sorted(path.name for path in folder.glob("*.snap"))
    assert len(kept) == 28
    assert "20200101T000000Z.snap" not in kept
    assert kept[-1] > "2025"


def test_a_snapshot_that_fails_leaves_the_old_ones(server: Agent, acl: object, tmp_path: Path) -> None:
    folder = server.at("/srv/data/consul-snapshots")
    before = sorted(folder.glob("*.snap"))
    management = server.at("/etc/consul.d/secrets/management")
    token = management.read_text()
    management.write_text("00000000-0000-4000-8000-000000000000")

    done = server.run_script("/usr/local/sbin/consul-snapshot")

    management.write_text(token)
    assert done.returncode != 0
    assert sorted(folder.glob("*.snap")) == before[-27:]


def test_the_oldest_snapshot_goes_before_a_new_one_so_that_a_full_volume_heals(
    server: Agent, acl: object
) -> None:
    folder = server.at("/srv/data/consul-snapshots")
    folder.mkdir(parents=True, exist_ok=True)
    for day in range(1, 31):
        (folder / f"202001{day:02}T000000Z.snap").write_text("an old one")
    management = server.at("/etc/consul.d/secrets/management")
    token = management.read_text()
    management.write_text("00000000-0000-4000-8000-000000000000")

    done = server.run_script("/usr/local/sbin/consul-snapshot")

    management.write_text(token)
    assert done.returncode != 0
    assert not (folder / "20200101T000000Z.snap").exists()
    assert len(list(folder.glob("*.snap"))) == 27


def test_a_snapshot_that_failed_is_tried_again_soon() -> None:
    unit = SERVER.file("/etc/systemd/system/consul-snapshot.service").content

    assert "Restart=on-failure\nRestartSec=60\n" in unit


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
        assert settings["retry_join"] == [str(address) for address in three.consul]


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
