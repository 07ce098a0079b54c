"""What site-link makes of a gateway's rendered files; tests/sites has the links themselves."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.values import new_value, wireguard_public_key
from constructs_lib.spec.model import ClusterSpec
from tests.components.consul_here import values
from tests.conftest import need
from tests.nodes.clusters import HYBRID, RELAYED, SMALL, nodes

PROGRAM = "/usr/local/sbin/site-link"
NAMED = "vpn.example.org"


def gateway(spec: dict[str, Any], site: str) -> NodeFiles:
    planned = plan(ClusterSpec.model_validate(spec)).site(site)
    return render(planned, planned.nodes_of(Role.GATEWAY)[0])


def named(site: str = "eu", **link: Any) -> dict[str, Any]:
    """The hybrid cluster, one of whose gateways is called by a name."""
    spec: dict[str, Any] = json.loads(json.dumps(HYBRID))
    spec["sites"][site]["link"] = {"endpoint": NAMED, **link}
    return spec


class Gateway:
    """A gateway's site-link below `folder`, with keys of its own."""

    def __init__(self, folder: Path, spec: dict[str, Any], site: str) -> None:
        self.folder, self.files = folder, gateway(spec, site)
        self.keys = folder / "wireguard/keys"
        self.keys.mkdir(parents=True)
        made = values(plan(ClusterSpec.model_validate(spec)).secrets)
        for secret in self.files.secrets:
            if secret.path.startswith("/etc/wireguard/keys/"):
                (self.keys / Path(secret.path).name).write_text(made[secret.name])
        text = self.files.file("/etc/clustermesos/site-link.json").content
        (folder / "site-link.json").write_text(re.sub("@@late:[^@]+@@", "192.0.2.10", text))
        (folder / "site-link").write_text(shipped("site-link", self.files.file(PROGRAM).content))

    def does(self, word: str) -> subprocess.CompletedProcess[str]:
        here = self.folder
        places = {"SITE_LINK": str(here / "site-link.json"), "WIREGUARD": str(here / "wireguard")}
        return subprocess.run(
            [sys.executable, str(self.folder / "site-link"), word],
            capture_output=True,
            text=True,
            check=False,
            timeout=180,
            env={**os.environ, **places},
        )

    @property
    def conf(self) -> Path:
        return self.folder / "wireguard/sites.conf"

    def peers(self) -> list[dict[str, str]]:
        """Each [Peer] of the configuration."""
        parts = self.conf.read_text().split("[Peer]\n")[1:]
        return [dict(line.split(" = ", 1) for line in part.splitlines()) for part in parts]


def test_the_caller_knows_where_and_the_called_side_only_whom(tmp_path: Path) -> None:
    caller, called = Gateway(tmp_path / "dc1", HYBRID, "dc1"), Gateway(tmp_path / "eu", HYBRID, "eu")
    assert [each.does("config").returncode for each in (caller, called)] == [0, 0]

    [there], [here] = caller.peers(), called.peers()
    assert there["Endpoint"] == "192.0.2.10:51820"
    assert there["PersistentKeepalive"] == "25"
    assert there["AllowedIPs"] == "10.20.0.0/16"
    assert set(here) == {"PublicKey", "AllowedIPs"}
    assert here["AllowedIPs"] == "10.40.0.0/16"


@pytest.mark.root
@pytest.mark.parametrize("site", ["eu", "dc1", "dc2"])
def test_wg_quick_reads_the_configuration(tmp_path: Path, site: str, root: None) -> None:
    made = Gateway(tmp_path, RELAYED, site)
    assert made.does("config").returncode == 0

    done = subprocess.run(
        [need("wg-quick"), "strip", made.conf], capture_output=True, text=True, check=False, timeout=180
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("[Peer]") == len(made.peers())
    # What only wg-quick knows is gone, and nothing else.
    lines = set(made.conf.read_text().splitlines()) - set(done.stdout.splitlines())
    assert {line.split(" = ")[0] for line in lines} == {"Address", "MTU"}


def test_a_gateway_that_is_called_by_name_gets_its_address_later(tmp_path: Path) -> None:
    made = Gateway(tmp_path, named(port=4500), "dc1")

    assert made.does("config").returncode == 0

    [peer] = made.peers()
    assert "Endpoint" not in peer
    assert peer["PersistentKeepalive"] == "25"
    given = json.loads((tmp_path / "site-link.json").read_text())
    assert given["peers"][0]["calls"] == f"{NAMED}:4500"


def test_the_site_that_relays_is_the_way_to_all_others(tmp_path: Path) -> None:
    for site, behind in {
        "dc1": ["10.20.0.0/16, 10.50.0.0/16"],
        "dc2": ["10.20.0.0/16, 10.40.0.0/16"],
        "eu": ["10.40.0.0/16", "10.50.0.0/16"],
    }.items():
        made = Gateway(tmp_path / site, RELAYED, site)
        assert made.does("config").returncode == 0
        assert [peer["AllowedIPs"] for peer in made.peers()] == behind


def test_the_configuration_is_for_root_alone(tmp_path: Path) -> None:
    made = Gateway(tmp_path, HYBRID, "eu")
    assert made.does("config").returncode == 0

    assert stat.S_IMODE(made.conf.stat().st_mode) == 0o600
    [folder] = [each for each in made.files.directories if each.path == "/etc/wireguard/keys"]
    assert folder.mode == 0o700
    assert {s.mode for s in made.files.secrets if s.path.startswith("/etc/wireguard/")} == {0o600}


@pytest.mark.parametrize("name", ["own", "dc1.pub"])
def test_a_missing_key_is_one_line_and_the_former_configuration_stays(tmp_path: Path, name: str) -> None:
    made = Gateway(tmp_path, HYBRID, "eu")
    assert made.does("config").returncode == 0
    before = made.conf.read_text()
    (made.keys / name).unlink()

    done = made.does("config")

    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith(f"site-link: {made.keys / name} is missing, expected a WireGuard key: ")
    assert made.conf.read_text() == before
    assert sorted(path.name for path in made.conf.parent.iterdir()) == ["keys", "sites.conf"]


@pytest.mark.parametrize("value", ["", "short", "A" * 43, f"{'A' * 42}B="])
def test_what_is_no_key_is_refused_and_not_said(tmp_path: Path, value: str) -> None:
    made = Gateway(tmp_path, HYBRID, "eu")
    (made.keys / "own").write_text(value)

    done = made.does("config")

    assert done.returncode == 1
    assert f"own has {len(value)} characters that are no WireGuard key (not shown)" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not value or value not in done.stderr
    assert not made.conf.exists()


@pytest.mark.parametrize("value", [None, "short"])
def test_links_that_start_leave_out_the_one_site_whose_key_is_damaged_and_say_so(
    tmp_path: Path, value: str | None
) -> None:
    made = Gateway(tmp_path, RELAYED, "eu")
    broken = made.keys / "dc1.pub"
    broken.unlink()
    if value:
        broken.write_text(value)

    done, asked = made.does("start"), made.does("keys")

    assert done.returncode == 0
    [line] = done.stderr.splitlines()
    assert line.startswith(f"site-link: NO LINK to dc1: {broken} ")
    good = (made.keys / "dc2.pub").read_text().strip()
    assert [peer["AllowedIPs"] for peer in made.peers() if peer["PublicKey"] == good] == ["10.50.0.0/16"]
    [nobody] = [peer for peer in made.peers() if peer["PublicKey"] != good]
    assert nobody["AllowedIPs"] == "10.40.0.0/16"
    assert nobody["PublicKey"] not in [path.read_text().strip() for path in made.keys.iterdir()]
    assert asked.returncode == 1
    assert asked.stderr.startswith(f"no link to dc1: {broken} ")
    assert "short" not in done.stderr + asked.stderr


def test_links_that_are_up_stay_as_they_are_where_a_new_key_is_damaged(tmp_path: Path) -> None:
    made = Gateway(tmp_path, RELAYED, "eu")
    assert made.does("config").returncode == 0
    before = made.conf.read_text()
    (made.keys / "dc1.pub").write_text("short")

    assert made.does("config").returncode == 1

    assert made.conf.read_text() == before


def test_no_link_starts_without_the_own_key_and_good_keys_are_healthy(tmp_path: Path) -> None:
    made = Gateway(tmp_path, HYBRID, "eu")
    assert made.does("keys").returncode == 0
    (made.keys / "own").unlink()

    done = made.does("start")

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


@pytest.mark.parametrize("attempt", range(20))
def test_every_key_that_is_made_is_one(attempt: int) -> None:
    source = gateway(HYBRID, "eu").file(PROGRAM).content
    [pattern] = re.findall(r'KEY = re\.compile\(r"(.+)"\)', source)
    private = new_value("wireguard_key")

    assert re.fullmatch(pattern, private)
    assert re.fullmatch(pattern, wireguard_public_key(private))


@pytest.mark.parametrize("word", ["config", "watch", "show"])
def test_a_file_that_is_no_json_is_one_line(tmp_path: Path, word: str) -> None:
    made = Gateway(tmp_path, HYBRID, "eu")
    (tmp_path / "site-link.json").write_text('{"peers":')

    done = made.does(word)

    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert done.stderr.startswith(f"site-link: {tmp_path / 'site-link.json'}: ")


def test_a_word_that_it_does_not_know_is_told_the_others(tmp_path: Path) -> None:
    done = Gateway(tmp_path, HYBRID, "eu").does("up")

    assert done.returncode == 1
    assert done.stderr == "site-link: got 'up', expected config, start, keys, routes, watch or show\n"


def test_a_site_that_is_alone_has_no_link() -> None:
    planned = plan(ClusterSpec.model_validate(SMALL)).site("eu")

    for node in nodes(planned):
        files = render(planned, node)
        assert not any("site-link" in file.path or "wireguard" in file.path for file in files.files)
        assert not any("wireguard" in secret.name for secret in files.secrets)
        assert "sites" not in files.file("/etc/clustermesos/firewall.nft").content


def test_no_private_key_leaves_its_site() -> None:
    cluster = plan(ClusterSpec.model_validate(RELAYED))
    for name, site in cluster.sites.items():
        for node in nodes(site):
            private = [s.name for s in render(site, node).secrets if s.kind == "wireguard_key"]
            assert private == ([f"wireguard_key_{name}"] if node.name == "gateway-1" else [])
