from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from constructs_lib.cli.main import main
from constructs_lib.plan.plan import plan
from constructs_lib.secrets import certificates
from constructs_lib.secrets.certificates import expires
from constructs_lib.secrets.store import read_store, write_store
from constructs_lib.secrets.values import wireguard_public_key
from constructs_lib.spec.model import ClusterSpec

CLUSTER = """\
name: demo
sites:
  eu:
    platform: aws
    aws: {region: eu-west-3}
    network: 10.20.0.0/16
    masters: {count: 1}
    agents:
      general: {count: 1}
admin:
  networks: [203.0.113.0/24]
  ssh_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX ops@example.org
"""
PLANNED = plan(ClusterSpec.model_validate(yaml.safe_load(CLUSTER))).secrets
NAMES = sorted(secret.name for secret in PLANNED)
NEEDED = sorted(secret.name for secret in PLANNED if secret.declared.roles)
"""Without those that only sign others."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CLUSTERMESOS_FILE", raising=False)
    return tmp_path


def table(text: str) -> dict[str, str]:
    return dict(line.split("  ", 1) for line in text.splitlines()) if text else {}


def listed(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    return {name.strip(): state.strip() for name, state in table(capsys.readouterr().out).items()}


def test_the_secrets_are_those_that_the_components_declare() -> None:
    assert {"gateway_ssh_host_key_eu", "zookeeper_super_password", "consul_gossip_key"} < set(NEEDED)
    assert set(NAMES) - set(NEEDED) == {"cluster_authority"}


def test_secrets_are_made_once_and_the_lock_lists_them(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["secrets"]) == 0
    assert listed(capsys) == dict.fromkeys(NAMES, "made")
    assert json.loads((folder / "cluster.lock.json").read_text())["secrets"] == NAMES

    assert main(["secrets"]) == 0
    assert {name: state.partition(",")[0] for name, state in listed(capsys).items()} == dict.fromkeys(
        NAMES, "here"
    )


def test_no_value_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["secrets"])
    main(["secrets", "--check"])

    shown = "".join(capsys.readouterr())
    values = json.loads((folder / ".clustermesos/secrets.json").read_text())["secrets"].values()
    telling = [line for value in values for line in value.splitlines() if not line.startswith("-----")]
    assert telling
    assert not any(line in shown for line in telling)


def test_check_makes_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["secrets", "--check"]) == 1
    assert listed(capsys) == dict.fromkeys(NAMES, "not made yet")
    assert not (folder / ".clustermesos").exists()
    assert not (folder / "cluster.lock.json").exists()


def test_a_second_operator_gets_an_error_and_no_new_secrets(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["secrets"])
    (folder / ".clustermesos/secrets.json").unlink()
    capsys.readouterr()

    assert main(["secrets"]) == 2
    told = capsys.readouterr().err.partition(". ")[0].removeprefix("missing secrets: ")
    assert sorted(told.split(", ")) == NEEDED
    assert main(["secrets", "--check"]) == 1
    assert listed(capsys) == dict.fromkeys(NAMES, "missing")
    assert not (folder / ".clustermesos/secrets.json").exists()


def test_the_environment_supplies_what_the_file_lacks(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    main(["secrets"])
    (folder / ".clustermesos/secrets.json").unlink()
    for name in NAMES:
        monkeypatch.setenv(f"TF_VAR_{name}", "from-ci")
    capsys.readouterr()

    assert main(["secrets"]) == 0
    assert listed(capsys) == dict.fromkeys(NAMES, "from environment")


CERTIFICATE = "consul_server_certificate_eu"


def stored(folder: Path) -> dict[str, str]:
    held: dict[str, str] = json.loads((folder / ".clustermesos/secrets.json").read_text())["secrets"]
    return held


def test_the_list_says_until_when_certificates_are_valid(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["secrets"])
    capsys.readouterr()
    main(["secrets"])

    shown = listed(capsys)
    assert shown[CERTIFICATE] == f"here, valid until {expires(stored(folder)[CERTIFICATE]):%Y-%m-%d}"
    assert "valid" not in shown["consul_gossip_key"]


def test_a_certificate_that_ends_soon_is_told_with_what_to_do(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "CERTIFICATE_LIFE", timedelta(days=80))
    main(["secrets"])
    capsys.readouterr()
    main(["secrets"])

    shown = listed(capsys)
    assert shown[CERTIFICATE].endswith(f": --renew {CERTIFICATE}")
    assert "--renew" not in shown["cluster_authority"]


def test_renewing_signs_that_certificate_anew_and_leaves_all_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["secrets"])
    before = stored(folder)

    assert main(["secrets", "--renew", CERTIFICATE]) == 0

    after = stored(folder)
    assert {name for name in after if after[name] != before[name]} == {CERTIFICATE}
    assert after["cluster_authority_certificate"] in after["cluster_authority"]


@pytest.mark.parametrize("name", ["consul_gossip_key", "cluster_authority", "link-keys", "typo"])
def test_nothing_but_a_certificate_is_renewed_where_there_is_no_link(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    main(["secrets"])
    before = stored(folder)

    assert main(["secrets", "--renew", name]) == 2

    assert f"--renew: got {name}, expected a certificate or a link's key: " in capsys.readouterr().err
    assert stored(folder) == before


def test_without_its_authority_no_certificate_is_renewed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["secrets"])
    held = stored(folder)
    del held["cluster_authority"]
    write_store(folder / ".clustermesos/secrets.json", held)

    assert main(["secrets", "--renew", CERTIFICATE]) == 2
    assert "cluster_authority: not in " in capsys.readouterr().err
    assert stored(folder) == held


OTHER_SITE = """\
  dc1:
    platform: aws
    aws: {region: us-east-1}
    network: 10.30.0.0/16
admin:
"""


@pytest.mark.parametrize(
    ("names", "sites"),
    [
        (["link-keys"], ["dc1", "eu"]),
        (["wireguard_key_eu"], ["eu"]),
        (["link-keys", CERTIFICATE], ["dc1", "eu"]),
    ],
)
def test_new_keys_of_links_come_with_their_public_halves(
    folder: Path, names: list[str], sites: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "cluster.yaml").write_text(CLUSTER.replace("admin:\n", OTHER_SITE))
    main(["secrets"])
    before = stored(folder)

    assert main(["secrets", "--renew", *names]) == 0

    after = stored(folder)
    halves = {f"wireguard_{half}_{site}" for half in ("key", "public_key") for site in sites}
    assert {name for name in after if after[name] != before[name]} == halves | {*names} - {"link-keys"}
    for site in sites:
        assert wireguard_public_key(after[f"wireguard_key_{site}"]) == after[f"wireguard_public_key_{site}"]
    assert not [value for value in after.values() if value in capsys.readouterr().out]


def test_a_key_that_the_environment_supplies_is_not_renewed_beside_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cluster.yaml").write_text(CLUSTER.replace("admin:\n", OTHER_SITE))
    main(["secrets"])
    before = stored(folder)
    monkeypatch.setenv("TF_VAR_wireguard_key_eu", before["wireguard_key_eu"])

    assert main(["secrets", "--renew", "link-keys"]) == 2

    assert "--renew: wireguard_key_eu: the environment supplies it" in capsys.readouterr().err
    assert stored(folder) == before


def test_an_applications_secret_comes_by_standard_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = folder / "cluster.yaml"
    text = cluster.read_text(encoding="utf-8")
    cluster.write_text(f"{text}app_secrets: {{shop/api-key: {{pools: [general]}}}}\n", encoding="utf-8")
    assert main(["secrets"]) == 2
    assert "--supply app_shop_api_key" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter2\n"))
    assert main(["secrets", "--supply", "shop/api-key"]) == 0
    shown = capsys.readouterr()
    assert "app_shop_api_key" in shown.out and "hunter2" not in shown.out + shown.err
    assert read_store(folder / ".clustermesos" / "secrets.json")["app_shop_api_key"] == "hunter2"
