from __future__ import annotations

import base64
import json
import multiprocessing
import stat
import uuid
from pathlib import Path

import pytest

from constructs_lib.components.model import Role, Secret
from constructs_lib.errors import SecretsError
from constructs_lib.plan.model import PlannedSecret
from constructs_lib.secrets.ensure import SecretState, ensure, states, supply, write_tfvars
from constructs_lib.secrets.store import read_store, write_store


def planned(name: str, kind: str = "password", signed_by: str | None = None) -> PlannedSecret:
    roles = () if kind == "authority" else (Role.MASTER,)
    declared = Secret(name=name, kind=kind, roles=roles, to=f"/etc/{name}", signed_by=signed_by)  # type: ignore[arg-type]
    return PlannedSecret(name=name, declared=declared, site=None, dns_names=("server.eu.consul",))


A, B, KEY = planned("alpha"), planned("beta"), planned("gateway_ssh_host_key_eu", "ssh_host_key")


AUTHORITY = planned("cluster_authority", "authority")
CERTIFICATE = planned("server_certificate", "certificate", signed_by="cluster_authority")
PUBLIC = planned("authority_certificate", "authority_certificate", signed_by="cluster_authority")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / ".clustermesos"
    folder.mkdir(mode=0o700)
    return folder / "secrets.json"


def test_new_names_get_a_value_that_stays(store: Path) -> None:
    first = ensure([A, B], [], store, {})
    again = ensure([A, B], ["alpha", "beta"], store, {})

    assert first == again
    assert first["alpha"] != first["beta"]
    assert len(first["alpha"]) == 32
    assert stat.S_IMODE(store.stat().st_mode) == 0o600


def test_an_ssh_host_key_is_one_that_openssh_reads(store: Path, tmp_path: Path) -> None:
    import shutil
    import subprocess

    value = ensure([KEY], [], store, {})[KEY.name]

    assert value.startswith("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    if shutil.which("ssh-keygen") is None:
        pytest.skip("ssh-keygen is not installed")
    key = tmp_path / "key"
    key.touch(mode=0o600)
    key.write_text(value)
    public = subprocess.run(["ssh-keygen", "-y", "-f", str(key)], capture_output=True, text=True, check=True)
    assert public.stdout.startswith("ssh-ed25519 ")


def test_a_name_that_the_lock_lists_is_never_made_anew(store: Path) -> None:
    ensure([A], [], store, {})

    with pytest.raises(SecretsError) as raised:
        ensure([A, B], ["alpha", "beta"], store, {})

    assert "missing secrets: beta." in str(raised.value)
    assert "TF_VAR_beta" in str(raised.value)
    assert "operator who has it" in str(raised.value)
    assert list(read_store(store)) == ["alpha"]


def test_nothing_is_made_while_another_is_missing(store: Path) -> None:
    with pytest.raises(SecretsError):
        ensure([A, B], ["beta"], store, {})

    assert not store.exists()


def test_what_the_environment_supplies_is_neither_stored_nor_handed_out(store: Path) -> None:
    values = ensure([A, B], ["alpha"], store, {"TF_VAR_alpha": "from-ci"})

    assert list(values) == ["beta"]
    assert list(read_store(store)) == ["beta"]


def test_the_environment_wins_over_the_store(store: Path) -> None:
    ensure([A], [], store, {})

    assert ensure([A], ["alpha"], store, {"TF_VAR_alpha": "other"}) == {}


@pytest.mark.parametrize("value", ["a b", "a@b", 'a"b', "a/b", "ä", "a\n"])
def test_a_password_that_no_node_could_write_down_is_an_error_and_not_shown(store: Path, value: str) -> None:
    with pytest.raises(SecretsError, match="TF_VAR_alpha: got a password with other characters") as refused:
        ensure([A], [], store, {"TF_VAR_alpha": value})

    assert value not in str(refused.value)
    assert ensure([A], [], store, {"TF_VAR_alpha": "a.b_c~d-9"}) == {}


def test_a_variable_that_is_set_but_empty_is_an_error(store: Path) -> None:
    with pytest.raises(SecretsError, match="TF_VAR_alpha: is set, but empty"):
        ensure([A], [], store, {"TF_VAR_alpha": ""})


def test_states_names_where_each_value_is_and_makes_nothing(store: Path) -> None:
    write_store(store, {"alpha": "x"})

    found = states([A, B, KEY, planned("delta")], ["alpha", "beta"], store, {"TF_VAR_delta": "y"})

    assert [(secret.name, secret.state) for secret in found] == [
        ("alpha", SecretState.HERE),
        ("beta", SecretState.MISSING),
        (KEY.name, SecretState.NEW),
        ("delta", SecretState.ENVIRONMENT),
    ]
    assert "x" not in repr(found[0])


def _ensure(store: Path, number: int, results: multiprocessing.Queue[dict[str, str]]) -> None:
    results.put(dict(ensure([A, B, planned(f"own-{number}")], [], store, {})))


def test_runs_at_the_same_time_agree_and_lose_no_secret(store: Path) -> None:
    context = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[dict[str, str]] = context.Queue()
    runs = [context.Process(target=_ensure, args=(store, number, results)) for number in range(6)]
    for run in runs:
        run.start()
    values = [results.get(timeout=180) for _ in runs]
    for run in runs:
        run.join(timeout=180)

    assert len({value["alpha"] for value in values}) == 1
    assert set(read_store(store)) == {"alpha", "beta", *(f"own-{number}" for number in range(6))}


def test_terraforms_file_is_private_and_goes_when_nothing_is_left_in_it(tmp_path: Path) -> None:
    path = write_tfvars(tmp_path, {"beta": "2", "alpha": "1"})

    assert path.name == "secrets.auto.tfvars.json"
    assert json.loads(path.read_text()) == {"alpha": "1", "beta": "2"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_tfvars(tmp_path, {})
    assert not path.exists()


def test_terraforms_file_is_private_also_where_a_readable_one_was(tmp_path: Path) -> None:
    (tmp_path / "secrets.auto.tfvars.json").write_text("{}")
    (tmp_path / "secrets.auto.tfvars.json").chmod(0o644)

    path = write_tfvars(tmp_path, {"alpha": "1"})

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_gossip_key_is_32_bytes_and_a_token_a_random_uuid(store: Path) -> None:
    made = ensure([planned("gossip", "gossip_key"), planned("token", "token")], [], store, {})

    assert len(base64.b64decode(made["gossip"], validate=True)) == 32
    assert uuid.UUID(made["token"]).version == 4


def test_an_authority_is_made_before_what_it_signs_whatever_the_order(store: Path) -> None:
    made = ensure([CERTIFICATE, PUBLIC, AUTHORITY], [], store, {})

    assert made["authority_certificate"] in made["cluster_authority"]
    assert "PRIVATE KEY" in made["server_certificate"]
    assert ensure([CERTIFICATE, PUBLIC, AUTHORITY], list(made), store, {}) == made


def test_a_new_certificate_is_signed_by_the_authority_that_the_environment_supplies(store: Path) -> None:
    authority = ensure([AUTHORITY], [], store, {})["cluster_authority"]
    store.unlink()

    made = ensure([AUTHORITY, PUBLIC], ["cluster_authority"], store, {"TF_VAR_cluster_authority": authority})

    assert made["authority_certificate"] in authority
    assert list(made) == ["authority_certificate"]


def test_an_authority_may_stay_away_while_it_has_nothing_to_sign(store: Path) -> None:
    made = ensure([AUTHORITY, CERTIFICATE], [], store, {})
    names = list(made)
    write_store(store, {"server_certificate": made["server_certificate"]})

    assert ensure([AUTHORITY, CERTIFICATE], names, store, {}) == {
        "server_certificate": made["server_certificate"]
    }
    with pytest.raises(SecretsError, match=r"missing secrets: cluster_authority\."):
        ensure([AUTHORITY, CERTIFICATE, PUBLIC], names, store, {})


SUPPLIED = PlannedSecret(
    name="app_shop_api_key",
    declared=Secret(
        name="app_shop_api_key",
        kind="supplied",
        roles=(Role.AGENT,),
        to="/etc/clustermesos/app-secrets/shop/api-key",
    ),
    site=None,
    pools=("general",),
)


def test_an_applications_secret_that_nobody_supplied_is_never_made(store: Path) -> None:
    with pytest.raises(
        SecretsError, match=r"app_shop_api_key.*clustermesos secrets --supply app_shop_api_key"
    ):
        ensure([A, SUPPLIED], [], store, {})
    assert not store.exists() or read_store(store) == {}


def test_what_the_environment_or_the_operator_supplies_is_taken_as_it_is(store: Path) -> None:
    assert ensure([SUPPLIED], [], store, {"TF_VAR_app_shop_api_key": 'any: "text"\n'}) == {}
    supply([A, SUPPLIED], "app_shop_api_key", 'any: "text"', store)
    assert ensure([SUPPLIED], [], store, {}) == {"app_shop_api_key": 'any: "text"'}
    assert stat.S_IMODE(store.stat().st_mode) == 0o600


@pytest.mark.parametrize(("name", "value"), [("alpha", "x"), ("app_shop_api_key", "")])
def test_the_platforms_own_secrets_and_nothing_are_not_taken(store: Path, name: str, value: str) -> None:
    with pytest.raises(SecretsError, match=r"--supply: got"):
        supply([A, SUPPLIED], name, value, store)
