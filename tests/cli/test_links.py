"""`links rotate`: what it decides before gateways are asked, and what it keeps and says after.

Gateways are doubles here: tests/rollout has the change itself, tests/sites real WireGuard.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from constructs_lib.cli.main import main
from constructs_lib.components.model import Role
from constructs_lib.errors import RollError
from constructs_lib.plan.plan import plan
from constructs_lib.rollout import link_keys as changing
from constructs_lib.rollout.cluster import Nodes
from constructs_lib.rollout.link_keys import RemoteGateway, Say
from constructs_lib.secrets.link_keys import NEXT_FILE, link_keys
from constructs_lib.secrets.store import read_store, write_store
from constructs_lib.secrets.values import new_secret
from constructs_lib.spec import load as loading
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import HYBRID, SMALL

SPEC = ClusterSpec.model_validate(HYBRID)
CLUSTER = plan(SPEC)
KEYS = link_keys(CLUSTER.secrets, {})
READ = {
    "eu": ("wireguard_key_eu", "wireguard_public_key_dc1"),
    "dc1": ("wireguard_key_dc1", "wireguard_public_key_eu"),
}


@dataclass
class Gateways:
    """Deployed gateways as `Nodes` gives them, and what each was sent."""

    values: Mapping[str, str]
    seen: dict[str, str] = field(default_factory=dict)
    """Name of a secret → what a gateway says of it where it is not `same`."""
    trouble: str | None = None
    absent: Sequence[str] = ()
    sent: list[Mapping[str, str]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    peers: dict[str, Sequence[str]] = field(default_factory=dict)
    fails: bool = False
    held: list[str] = field(default_factory=list)
    spec: ClusterSpec = SPEC
    cluster: Any = CLUSTER
    stacks: Mapping[str, Path] = field(default_factory=dict)

    @property
    def sites(self) -> Mapping[str, Any]:
        return {name: SimpleNamespace(plan=site, stacks=self.stacks) for name, site in CLUSTER.sites.items()}

    @property
    def targets(self) -> Sequence[Any]:
        return [
            SimpleNamespace(
                name="gateway-1",
                site=site,
                generation=SimpleNamespace(secrets=dict.fromkeys((*names, "x"), "/p")),
            )
            for site, names in READ.items()
        ]

    def survey(self) -> Sequence[Any]:
        def state(target: Any) -> Any:
            found = {name: self.seen.get(name, "same") for name in READ[target.site]}
            return SimpleNamespace(target=target, trouble=self.trouble, seen=SimpleNamespace(secrets=found))

        return [state(target) for target in self.targets]

    def missing(self, site: str, role: Role) -> Sequence[str]:
        assert role is Role.GATEWAY
        return ["gateway-1"] if site in self.absent else []

    def lease(self, site: str) -> AbstractContextManager[None]:
        self.held.append(site)
        return nullcontext()

    def shell(self, target: Any) -> Any:
        return target.site

    def change(self, gateways: Sequence[RemoteGateway], say: Say) -> None:
        self.order = [gateway.site for gateway in gateways]
        self.peers = {gateway.site: gateway.peers for gateway in gateways}
        self.sent.append({name: value for g in gateways for name, (_, value) in g.keys.items()})
        whose = {name: site for g in gateways for name, (site, _) in g.keys.items()}
        assert whose == {name: None if "public" not in name else name.rpartition("_")[2] for name in whose}
        assert self.held == ["eu", "dc1"], "another operator could change the same gateways"
        if self.fails:
            raise RollError("dc1: the connection was lost")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    private = tmp_path / ".clustermesos"
    private.mkdir(mode=0o700)
    held: dict[str, str] = {"other": "stays"}
    for key in KEYS:
        held[key.name] = new_secret(key, held)
    write_store(private / "secrets.json", held)
    return private / "secrets.json"


@pytest.fixture
def gateways(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateways:
    monkeypatch.chdir(tmp_path)
    found = Gateways(read_store(store), stacks={name: tmp_path / name for name in CLUSTER.sites})
    monkeypatch.setattr(loading, "load", lambda file: found.spec)
    monkeypatch.setattr(Nodes, "find", lambda *words, **options: found)
    monkeypatch.setattr(changing, "change_keys", found.change)
    return found


def rotate() -> int:
    return main(["links", "rotate", "--yes"])


def links_of(store: Path) -> dict[str, str]:
    return {name: value for name, value in read_store(store).items() if name != "other"}


def test_new_keys_are_sent_in_the_order_of_calls_and_kept_without_being_shown(
    gateways: Gateways, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = links_of(store)

    assert rotate() == 0

    after = links_of(store)
    assert gateways.order == ["eu", "dc1"]
    assert gateways.peers == {"eu": ["dc1"], "dc1": ["eu"]}
    assert gateways.sent == [after]
    assert not {*before.values()} & {*after.values()}
    assert read_store(store)["other"] == "stays"
    captured = capsys.readouterr()
    assert not [value for value in after.values() if value in captured.out + captured.err]
    assert "Terraform's copies are older until the next cdktf deploy '*'" in captured.out


def test_json_is_one_document_that_names_the_sites_and_no_key(
    gateways: Gateways, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["links", "rotate", "--yes", "--json"]) == 0

    captured = capsys.readouterr()
    assert json.loads(captured.out) == {"good": True, "sites": ["eu", "dc1"]}
    assert not [value for value in links_of(store).values() if value in captured.err]


def test_a_change_that_failed_leaves_the_store_and_is_gone_on_with(
    gateways: Gateways, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, gateways.fails = read_store(store), True
    assert rotate() == 1
    assert read_store(store) == before
    assert capsys.readouterr().err == "dc1: the connection was lost\n"

    gateways.fails, gateways.held = False, []
    assert rotate() == 0

    first, second = gateways.sent
    assert first == second == links_of(store)
    assert "going on with the new keys of a change that was interrupted" in capsys.readouterr().out
    assert not store.with_name(NEXT_FILE).exists()


def test_keys_that_were_renewed_in_the_store_are_brought_instead_of_others(
    gateways: Gateways, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = links_of(store)
    gateways.seen = {"wireguard_key_dc1": "other"}

    assert rotate() == 0

    assert gateways.sent == [before]
    assert links_of(store) == before
    said = capsys.readouterr().out
    assert "gateway-1.dc1: other keys than secrets.json has; brings those, makes none" in said


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"trouble": "ssh: no answer"}, "gateway-1.eu: ssh: no answer"),
        ({"absent": ["dc1"]}, "gateway of dc1: planned, not deployed"),
        ({"values": {}}, "wireguard_key_dc1, wireguard_key_eu"),
    ],
)
def test_without_all_gateways_nothing_is_changed(
    gateways: Gateways, store: Path, capsys: pytest.CaptureFixture[str], changed: dict[str, Any], line: str
) -> None:
    for name, value in changed.items():
        setattr(gateways, name, value)

    assert rotate() == 1

    said = capsys.readouterr().err
    assert line in said
    assert said.endswith("all gateways have to be reached; nothing was changed\n")
    assert not gateways.sent
    assert not store.with_name(NEXT_FILE).exists()


def test_without_a_terminal_nobody_said_yes(
    gateways: Gateways, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["links", "rotate"]) == 1

    assert "say --yes. Nothing was changed" in capsys.readouterr().err
    assert not gateways.sent
    assert not store.with_name(NEXT_FILE).exists()


def test_a_cluster_of_one_site_is_told_so(gateways: Gateways, capsys: pytest.CaptureFixture[str]) -> None:
    gateways.spec = ClusterSpec.model_validate(SMALL)
    gateways.cluster = plan(gateways.spec)

    assert rotate() == 2

    assert capsys.readouterr().err == (
        "links: got a cluster of one site, expected several: there is no link and no key\n"
    )
