"""Keys of all links change together or not at all, wherever the change is interrupted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from constructs_lib.errors import RollError, SecretsError
from constructs_lib.plan.model import PlannedSecret
from constructs_lib.plan.plan import plan
from constructs_lib.rollout.link_keys import change_keys
from constructs_lib.secrets.ensure import TFVARS_FILE, write_tfvars
from constructs_lib.secrets.link_keys import NEXT_FILE, begin, begun, finish, link_keys
from constructs_lib.secrets.store import read_store, write_store
from constructs_lib.secrets.values import new_secret, wireguard_public_key
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import HYBRID, SMALL

KEYS = link_keys(plan(ClusterSpec.model_validate(HYBRID)).secrets, {})
SITES = ("eu", "dc1")


@dataclass
class World:
    """Gateways that know one set of keys each; `steps` counts what is asked of them."""

    keys: dict[str, str]
    fails_at: int = -1
    failure: Callable[[], BaseException] = KeyboardInterrupt
    steps: int = 0
    former: dict[str, str] = field(default_factory=dict)

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.fails_at:
            raise self.failure()

    def gateways(self, new: str) -> list[Model]:
        return [Model(self, site, new) for site in SITES]

    def joined(self) -> bool:
        return len(set(self.keys.values())) == 1


@dataclass
class Model:
    """As on_node.link_keys behaves; a step is cut before or after what it does."""

    world: World
    site: str
    new: str
    changing: bool = False

    def prepare(self) -> None:
        self.world.step()

    def go(self) -> None:
        self.world.step()
        self.world.former[self.site] = self.world.keys[self.site]
        self.world.keys[self.site], self.changing = self.new, True
        self.world.step()

    def heard(self) -> tuple[bool, Sequence[str]]:
        self.world.step()
        silent = [site for site, keys in self.world.keys.items() if keys != self.new]
        return not silent, silent

    def decide(self, *, keep: bool) -> str:
        self.world.step()
        self._end(keep=keep)
        self.world.step()
        return ""

    def close(self) -> None:
        """Lost or done: it decides by what it hears."""
        if self.changing:
            self._end(keep=self.world.joined())

    def _end(self, *, keep: bool) -> None:
        if not keep and self.changing:
            self.world.keys[self.site] = self.world.former[self.site]
        self.changing = False


@pytest.fixture
def store(tmp_path: Path) -> Path:
    tmp_path.chmod(0o700)
    held: dict[str, str] = {"other": "stays"}
    for key in KEYS:
        held[key.name] = new_secret(key, held)
    write_store(tmp_path / "secrets.json", held)
    return tmp_path / "secrets.json"


def own(values: dict[str, str]) -> str:
    return values["wireguard_key_eu"]


def rotate(world: World, store: Path) -> None:
    """As the command does it."""
    values = begun(KEYS, store) or begin(KEYS, store)
    change_keys(world.gateways(own(values)), lambda line: None)
    finish(values, store)


def test_every_gateway_and_the_store_have_the_same_new_keys(store: Path) -> None:
    before = read_store(store)
    world = World(dict.fromkeys(SITES, own(before)))

    rotate(world, store)

    after = read_store(store)
    assert world.keys == dict.fromkeys(SITES, own(after))
    assert not any(after[key.name] == before[key.name] for key in KEYS)
    assert after["other"] == "stays"
    for site in SITES:
        public = wireguard_public_key(after[f"wireguard_key_{site}"])
        assert after[f"wireguard_public_key_{site}"] == public
    assert not store.with_name(NEXT_FILE).exists()


def cuts() -> list[int]:
    """Every step of a change that succeeds."""
    world = World(dict.fromkeys(SITES, "old"))
    change_keys(world.gateways("new"), lambda line: None)
    return list(range(1, world.steps + 1))


@pytest.mark.parametrize("at", cuts())
@pytest.mark.parametrize("failure", [KeyboardInterrupt, lambda: RollError("not reached")])
def test_a_cut_at_any_step_leaves_one_set_of_keys_and_the_same_command_goes_on(
    store: Path, at: int, failure: Callable[[], BaseException]
) -> None:
    old = own(read_store(store))
    world = World(dict.fromkeys(SITES, old), fails_at=at, failure=failure)

    with pytest.raises((KeyboardInterrupt, RollError)):
        rotate(world, store)

    assert world.joined(), "a link is cut and nobody is left to mend it"
    assert own(read_store(store)) == old
    following = own(read_store(store.with_name(NEXT_FILE)))
    assert set(world.keys.values()) <= {old, following}

    rotate(world, store)

    assert world.keys == dict.fromkeys(SITES, following)
    assert own(read_store(store)) == following


def test_a_cut_before_the_store_is_written_loses_no_key(store: Path) -> None:
    world = World(dict.fromkeys(SITES, own(read_store(store))))
    values = begin(KEYS, store)
    change_keys(world.gateways(own(values)), lambda line: None)

    rotate(world, store)

    assert own(read_store(store)) == own(values) == world.keys["eu"]


def test_a_link_that_was_not_heard_has_all_go_back_and_says_which(store: Path) -> None:
    class Deaf(Model):
        def heard(self) -> tuple[bool, Sequence[str]]:
            return False, ["eu"]

    world = World(dict.fromkeys(SITES, "old"))

    with pytest.raises(RollError) as error:
        change_keys([Model(world, "eu", "new"), Deaf(world, "dc1", "new")], lambda line: None)

    assert str(error.value) == (
        "dc1 did not hear eu under new keys\n"
        "the former keys are in force again; run it again once that is mended"
    )
    assert world.keys == dict.fromkeys(SITES, "old")


def test_a_link_that_was_silent_before_is_not_waited_for() -> None:
    class Cut(Model):
        def heard(self) -> tuple[bool, Sequence[str]]:
            return True, ["eu"]

    said: list[str] = []
    world = World(dict.fromkeys(SITES, "old"))

    change_keys([Model(world, "eu", "new"), Cut(world, "dc1", "new")], said.append)

    assert "dc1: eu silent, as before: nothing waits for it" in said
    assert world.keys == dict.fromkeys(SITES, "new")


def test_a_stack_that_is_deployed_without_a_synth_has_the_new_keys_too(store: Path, tmp_path: Path) -> None:
    stacks = [tmp_path / "demo-eu", tmp_path / "demo-dc1"]
    for folder in stacks:
        folder.mkdir()
    values = begin(KEYS, store)
    write_tfvars(stacks[0], {"wireguard_key_eu": "old", "other": "stays"})

    finish(values, store, stacks)

    file = stacks[0] / TFVARS_FILE
    assert json.loads(file.read_text()) == {"wireguard_key_eu": own(values), "other": "stays"}
    assert file.stat().st_mode & 0o777 == 0o600
    assert not list(stacks[1].iterdir())


def test_a_stack_whose_variables_are_damaged_is_named_and_the_change_can_be_finished_later(
    store: Path, tmp_path: Path
) -> None:
    values = begin(KEYS, store)
    (tmp_path / TFVARS_FILE).write_text("{")

    with pytest.raises(SecretsError, match=r"can't be read .*; run: clustermesos synth"):
        finish(values, store, [tmp_path])

    assert own(read_store(store)) == own(values)
    assert begun(KEYS, store) == values


def test_new_keys_wait_in_a_file_that_nobody_else_reads(store: Path) -> None:
    begin(KEYS, store)

    assert store.with_name(NEXT_FILE).stat().st_mode & 0o777 == 0o600
    assert set(json.loads(store.with_name(NEXT_FILE).read_text())["secrets"]) == {key.name for key in KEYS}


def test_keys_that_the_environment_supplies_are_not_changed() -> None:
    secrets: Sequence[PlannedSecret] = plan(ClusterSpec.model_validate(HYBRID)).secrets

    with pytest.raises(Exception, match="wireguard_key_eu: the environment supplies it") as error:
        link_keys(secrets, {"TF_VAR_wireguard_key_eu": "c2VjcmV0"})

    assert "c2VjcmV0" not in str(error.value)


def test_a_cluster_of_one_site_has_no_links() -> None:
    with pytest.raises(Exception, match="links: got a cluster of one site, expected several"):
        link_keys(plan(ClusterSpec.model_validate(SMALL)).secrets, {})
