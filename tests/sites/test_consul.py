"""Consul's datacenters, one for each site, over the real link, from the rendered files."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from constructs_lib.hooks.pipeline import run_hook
from constructs_lib.hooks.settings import FOLDER, Settings
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.conftest import tool
from tests.hooks.test_settings import compiled
from tests.lab.asking import LONG as LONGEST
from tests.lab.asking import seen, until
from tests.nodes.clusters import HYBRID, RELAYED
from tests.sites.network import AGENT, ASKING, PYTHON, Network, Place, network
from tests.sites.ways import Ways

pytestmark = [pytest.mark.root, pytest.mark.slow]
SERVER = "consul-1"
MEMBERS = (SERVER, AGENT)
SITES = ("eu", "dc1")
UNIT = "/etc/systemd/system/consul.service"


class Datacenters:
    """Consul in every site of a network: the server, and one client."""

    def __init__(self, joined: Network) -> None:
        self.joined = joined

    def start(self, site: str) -> None:
        for name in MEMBERS:
            machine, files = self.joined.machine(site, name), self.joined.sites[site].files(name)
            unit = files.file(UNIT).content
            machine.at("/run/consul").mkdir(exist_ok=True)
            machine.at("/var/lib/consul").mkdir(exist_ok=True)
            [complete] = [line for line in unit.splitlines() if line.startswith("ExecStartPre=+")]
            machine.run(*shlex.split(complete.partition("+")[2]))
            [begin] = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
            _, *words = shlex.split(begin.partition("=")[2])
            machine.starts(str(tool("consul")), *words, into="/run/consul.log")

    def acl(self, site: str) -> None:
        """What the server does after each start."""
        self.joined.machine(site, SERVER).run("/usr/local/libexec/consul-acl", "120")

    def says(self, place: Place, *words: str, token: str = "management") -> str:
        file = f"CONSUL_HTTP_TOKEN_FILE=/etc/consul/secrets/{token}"
        return self.joined.machine(*place).run("env", file, str(tool("consul")), *words)

    def reads(self, site: str, path: str, token: str = "management", *, of: str = "") -> tuple[int, Any]:
        """Status and answer of the HTTP API at the site's server, with one of its secrets."""
        machine = self.joined.machine(site, SERVER)
        header = f"X-Consul-Token: {machine.at(f'/etc/consul/secrets/{token}').read_text()}"
        url = f"http://127.0.0.1:8500/v1/{path}{f'?dc={of}' if of else ''}"
        out = machine.run("curl", "-sS", "-w", "\n%{http_code}", "-H", "@-", url, stdin=header)
        text, _, status = out.rpartition("\n")
        return int(status), json.loads(text) if status == "200" else text

    def offers(self, site: str, service: str) -> None:
        """The site's agent offers a service at its own address."""
        words = ("services", "register", f"-name={service}", "-port=8080")
        # A client that has just started has no server yet.
        seen(f"{service} is offered", LONGEST, partial(self.says, (site, AGENT), *words, token="service"))

    def withdraws(self, site: str, service: str) -> None:
        self.says((site, AGENT), "services", "deregister", f"-id={service}", token="service")

    def addresses(self, place: Place, name: str) -> list[str]:
        """What a name resolves to there; nothing where it has no address."""
        done = self.joined.machine(*place).does(PYTHON, ASKING, "127.0.0.1", "name", "8600", name)
        return done.stdout.split()

    def resolves(self, place: Place, name: str, site: str) -> None:
        wanted = [self.joined.address(site, AGENT)]
        seen(
            f"{place} resolves {name} to {wanted}",
            LONGEST,
            partial(self.addresses, place, name),
            lambda found: found == wanted,
        )

    def wan(self, site: str) -> dict[str, str]:
        """Server.datacenter → alive or failed, as the site's server sees it."""
        lines = self.says((site, SERVER), "members", "-wan").splitlines()[1:]
        return {line.split()[0]: line.split()[2] for line in lines}

    def all_alive(self) -> None:
        wanted = {f"{SERVER}.{site}": "alive" for site in self.joined.sites}
        for site in self.joined.sites:
            seen(f"{site} sees all servers", LONGEST, partial(self.wan, site), lambda found: found == wanted)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datacenters]:
    """The home site runs; the other one boots while it is cut off, and its link comes up later."""
    tool("consul")
    with network(plan(ClusterSpec.model_validate(HYBRID))) as joined:
        made = Datacenters(joined)
        joined.sites["eu"].link_up()
        for site in SITES:
            made.start(site)
        for site in SITES:
            # Without any link.
            made.acl(site)
            made.offers(site, f"only-{site}")
            made.resolves((site, AGENT), f"only-{site}.service.consul", site)
        joined.sites["dc1"].link_up()
        yield made


@pytest.fixture
def joined_up(programs: None, both: Datacenters) -> Datacenters:
    both.all_alive()
    return both


def other(site: str) -> str:
    return SITES[1 - SITES.index(site)]


def test_a_site_that_booted_while_cut_off_has_its_tokens_and_joins_when_the_link_comes(
    joined_up: Datacenters,
) -> None:
    for site in SITES:
        assert set(joined_up.wan(site)) == {f"{SERVER}.{name}" for name in SITES}
        descriptions = [token["Description"] for token in joined_up.reads(site, "acl/tokens")[1]]
        assert sorted(set(descriptions) & {"agent", "names", "metrics", "service"}) == sorted(
            {"agent", "names", "metrics", "service"}
        )


@pytest.mark.parametrize("site", SITES)
def test_making_policies_tokens_and_the_query_again_changes_nothing(
    joined_up: Datacenters, site: str
) -> None:
    paths = ("acl/tokens", "acl/policies", "query")
    before = [joined_up.reads(site, path) for path in paths]

    joined_up.acl(site)

    assert [joined_up.reads(site, path) for path in paths] == before
    assert [status for status, _ in before] == [200, 200, 200]
    assert len(before[2][1]) == 1


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_resolves_the_names_of_other_sites(
    joined_up: Datacenters, site: str, member: str
) -> None:
    there = other(site)

    joined_up.resolves((site, member), f"only-{there}.service.{there}.consul", there)


@pytest.mark.parametrize("site", SITES)
def test_a_query_finds_the_own_sites_service_and_the_others_when_there_is_none(
    joined_up: Datacenters, site: str
) -> None:
    for name in SITES:
        joined_up.offers(name, "web")
    joined_up.resolves((site, AGENT), "web.query.consul", site)

    joined_up.withdraws(site, "web")

    joined_up.resolves((site, AGENT), "web.query.consul", other(site))
    joined_up.offers(site, "web")
    joined_up.resolves((site, AGENT), "web.query.consul", site)


def test_names_that_no_site_has_are_answered_with_none(joined_up: Datacenters) -> None:
    until(
        "no address", LONGEST, lambda: not joined_up.addresses(("eu", AGENT), "nobody-has-this.query.consul")
    )


@pytest.mark.parametrize("token", ["agent", "service", "management"])
def test_a_sites_own_tokens_are_good_at_no_other_site(joined_up: Datacenters, token: str) -> None:
    assert joined_up.reads("dc1", "catalog/nodes", token)[0] == 200
    status, said = joined_up.reads("dc1", "catalog/nodes", token, of="eu")
    assert (status, said.rpartition(": ")[2]) == (403, "ACL not found")


def test_the_token_for_names_is_good_at_every_site_and_reads_no_more_than_names(
    joined_up: Datacenters,
) -> None:
    assert [joined_up.reads("dc1", "catalog/services", "names", of=site)[0] for site in SITES] == [200, 200]
    for site in SITES:
        assert joined_up.reads("dc1", "acl/tokens", "names", of=site)[0] == 403
        assert joined_up.reads("dc1", "kv/anything", "names", of=site)[0] == 403


def test_while_cut_off_each_site_keeps_its_names_and_afterwards_has_the_others_again(
    joined_up: Datacenters,
) -> None:
    joined_up.joined.internet.run("ip", "link", "set", "eu", "down")
    try:
        for site in SITES:
            alone = {f"{SERVER}.{site}": "alive", f"{SERVER}.{other(site)}": "failed"}
            seen(f"{site} is alone", LONGEST, partial(joined_up.wan, site), alone.__eq__)
            joined_up.resolves((site, AGENT), f"only-{site}.service.consul", site)
            joined_up.resolves((site, AGENT), f"only-{site}.query.consul", site)
            name = f"only-{other(site)}.service.{other(site)}.consul"
            ask = partial(joined_up.addresses, (site, AGENT), name)
            seen("no name of the other's", LONGEST, ask, lambda found: not found)
    finally:
        joined_up.joined.internet.run("ip", "link", "set", "eu", "up")

    joined_up.all_alive()
    for site in SITES:
        joined_up.resolves((site, AGENT), f"only-{other(site)}.service.{other(site)}.consul", other(site))


@pytest.fixture
def ways(joined_up: Datacenters) -> Iterator[Ways]:
    made = Ways(joined_up.joined, plan(ClusterSpec.model_validate(HYBRID)), SERVER)
    for site in SITES:
        made.open(site)
    run_hook(Settings(made.consuls(), compiled(shop__colour="blue")), lambda _: None)
    assert made.colours() == dict.fromkeys(SITES, b"blue")
    yield made
    for site in SITES:
        made.lose(site)


def test_settings_are_written_into_every_site_while_their_link_is_cut(ways: Ways) -> None:
    ways.joined.internet.run("ip", "link", "set", "eu", "down")
    try:
        outcome = run_hook(Settings(ways.consuls(), compiled(shop__colour="red")), lambda _: None)
        assert outcome.good
        assert ways.colours() == dict.fromkeys(SITES, b"red")
    finally:
        ways.joined.internet.run("ip", "link", "set", "eu", "up")


def test_settings_of_a_site_that_is_lost_halfway_are_finished_by_the_next_run(ways: Ways) -> None:
    def loses(line: str) -> None:
        if f"eu:{FOLDER}" in line:
            ways.lose("dc1")

    lost = run_hook(Settings(ways.consuls(), compiled(shop__colour="red"), home="eu"), loses)
    assert lost.error is None
    at_home, away = sorted(lost.verdicts, key=lambda one: not one.good)
    assert (at_home.name, at_home.good, away.name, away.good) == ("eu", True, "dc1", False)
    assert "consul of dc1: " in away.says

    ways.open("dc1")
    assert ways.colours() == {"eu": b"red", "dc1": b"blue"}
    outcome = run_hook(Settings(ways.consuls(), compiled(shop__colour="red")), lambda _: None)

    assert [(one.action, one.name) for one in outcome.changes] == [("update", f"dc1:{FOLDER}shop/colour")]
    assert ways.colours() == dict.fromkeys(SITES, b"red")


@pytest.mark.parametrize("site", SITES)
def test_servers_are_not_forgotten_that_failed_longer_ago_than_consul_would_wait(
    joined_up: Datacenters, site: str
) -> None:
    settings = joined_up.reads(site, "agent/self", "agent")[1]["DebugConfig"]

    assert settings["ReconnectTimeoutWAN"] == "8760h0m0s"


def test_sites_that_meet_at_a_third_know_each_others_servers_and_names(programs: None) -> None:
    tool("consul")
    with network(plan(ClusterSpec.model_validate(RELAYED))) as joined:
        made = Datacenters(joined)
        for name, site in joined.sites.items():
            site.link_up()
            made.start(name)
        for name in joined.sites:
            made.acl(name)
        made.all_alive()
        made.offers("dc1", "only-dc1")

        made.resolves(("dc2", AGENT), "only-dc1.service.dc1.consul", "dc1")
        made.resolves(("dc2", AGENT), "only-dc1.query.consul", "dc1")
