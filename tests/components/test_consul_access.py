"""Who may do what: policies, tokens, keys and certificates of a real server and a real client."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from constructs_lib.nodes.model import NodeFiles, Stage
from constructs_lib.secrets.certificates import CERTIFICATE_LIFE, certificate_alone, new_authority
from tests.components.consul_here import CLUSTER, SERVER, Agent, client_of, values
from tests.nodes.test_health import outcomes


@pytest.mark.slow
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
    path = server.at(f"/etc/consul/secrets/{name}")
    old, new = path.read_text(), str(uuid.uuid4())
    path.write_text(new)

    done = server.acl()

    assert done.returncode == 0, done.stderr
    assert [server.ask("acl/token/self", token)[0] for token in (old, new)] == [200, 200]
    path.write_text(old)
    assert server.acl("revoke").returncode == 0
    server.wait("its end", lambda: server.ask("acl/token/self", new)[0] == 403)
    assert server.ask("acl/token/self", old)[0] == 200


@pytest.mark.slow
def test_a_management_token_that_consul_does_not_know_is_told_with_where_to_read(
    server: Agent, acl: object
) -> None:
    path = server.at("/etc/consul/secrets/management")
    old = path.read_text()
    path.write_text(str(uuid.uuid4()))

    done = server.acl(1)

    path.write_text(old)
    assert done.returncode == 1
    assert done.stderr.endswith("Consul does not know this node's management token, see docs/consul.md\n")


@pytest.mark.slow
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


def stage(files: NodeFiles) -> Stage:
    return next(stage for stage in files.stages if stage.component == "consul")


def documented(heading: str) -> str:
    """The first block of commands below a heading of docs/consul.md."""
    page = (Path(__file__).parents[2] / "docs/consul.md").read_text(encoding="utf-8")
    return page.partition(f"{heading}\n")[2].partition("```sh\n")[2].partition("```")[0]


def test_the_management_token_changes_as_the_docs_say(server: Agent, acl: object) -> None:
    path = server.at("/etc/consul/secrets/management")
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_server_tells_prometheus_how_long_its_certificate_is_valid(consul: Path, tmp_path: Path) -> None:
    agent = Agent(consul, tmp_path, SERVER, values(CLUSTER.secrets))
    agent.configure(agent.ports["serf_lan"])
    agent.start()
    try:
        # An hour later again; the rule of CertificateExpires looks that far back.
        agent.wait("its days", lambda: CERTIFICATE_LIFE.days - 1 <= _certificate_days(agent))
    finally:
        agent.stop()


def _certificate_days(agent: Agent) -> int:
    said = agent.ask("agent/metrics?format=prometheus", agent.secret("management"))[1]
    [seconds] = re.findall(r"^consul_agent_tls_cert_expiry (\d\S*)$", said, re.MULTILINE)
    return int(float(seconds)) // 86400
