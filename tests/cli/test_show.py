"""`show` on recorded outputs; the stand-in for terraform prints them and nothing else."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from constructs_lib.cli.main import main
from constructs_lib.secrets.values import new_value

CLUSTER = """\
name: demo
sites:
  eu:
    platform: aws
    aws: {region: eu-west-3}
    network: 10.20.0.0/16
    agents:
      general: {count: 3}
      batch: {min: 0, max: 20}
admin:
  networks: [203.0.113.0/24]
  ssh_keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAtWHj8rtM8QGUNPFcZG/fTVYiYrfsKyKF6Ya+W74bef ops@example.org]
"""
OUTPUT = {
    "cluster": "demo",
    "site": "eu",
    "platform": "aws",
    "nodes": {
        "gateway-1": {"role": "gateway", "zone": "eu-west-3a", "address": "10.20.0.11", "instance_id": "i-0"},
        "master-1": {"role": "master", "zone": "eu-west-3a", "address": "10.20.16.11", "instance_id": "i-1"},
    },
    "pools": {
        "general": {"min": 3, "max": 3, "autoscaling_group": "demo-eu-general"},
        "batch": {"min": 0, "max": 20, "autoscaling_group": "demo-eu-batch"},
    },
    "gateway": {"name": "gateway-1", "address": "10.20.0.11", "public_address": "192.0.2.7"},
    "endpoints": {"edge_http": "http://demo.example:80"},
    "login": {"user": "ops", "gateway": "192.0.2.7"},
}
TABLE = """\
demo, site eu on aws

NODE       ROLE     ZONE        ADDRESS
gateway-1  gateway  eu-west-3a  10.20.0.11
master-1   master   eu-west-3a  10.20.16.11

POOL     AGENTS   GROUP
general  3        demo-eu-general
batch    0 to 20  demo-eu-batch

ENDPOINT   URL                     WHAT
edge_http  http://demo.example:80  applications, by nginx

Gateway: 192.0.2.7
Log in:  ssh -F .clustermesos/ssh_config master-1.eu
"""
QUOTA = """
QUOTA           TAKEN
instances       9
cores           6, and those of the flavors below
ram             24576 MiB, and those of the flavors below
ports           11
flavor m1.huge  2 machines

Gateway:"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A synthesized cluster, and a terraform that answers with OUTPUT."""
    monkeypatch.chdir(tmp_path)
    for name in ("CLUSTERMESOS_FILE", "CLUSTERMESOS_SSH_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    stack = tmp_path / "cdktf.out" / "stacks" / "demo-eu"
    (stack / ".terraform").mkdir(parents=True)
    secrets = {"gateway_ssh_host_key_eu": new_value("ssh_host_key")}
    (stack / "secrets.auto.tfvars.json").write_text(json.dumps(secrets))
    answer(tmp_path, monkeypatch, {"cluster": {"value": OUTPUT}})
    state = tmp_path / ".clustermesos" / "state" / "demo-eu.tfstate"
    state.parent.mkdir(parents=True)
    (tmp_path / ".clustermesos").chmod(0o700)
    state.touch(mode=0o600)
    return tmp_path


def answer(folder: Path, monkeypatch: pytest.MonkeyPatch, outputs: object) -> None:
    """Let terraform say that."""
    (folder / "outputs.json").write_text(json.dumps(outputs))
    program = folder / "terraform-double"
    program.write_text(f"#!/bin/sh\ncat {folder}/outputs.json\n")
    program.chmod(0o755)
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", str(program))


def test_the_table_tells_what_runs_and_how_to_log_in(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show"]) == 0
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == (TABLE, "")


def test_the_login_line_has_its_files_and_the_outputs_are_saved(folder: Path) -> None:
    main(["show"])
    private = folder / ".clustermesos"
    assert "HostName 192.0.2.7" in (private / "ssh_config").read_text()
    assert (private / "known_gateways").read_text().startswith("demo-gateway-1.eu ssh-ed25519 ")
    saved = private / "outputs" / "eu.json"
    assert json.loads(saved.read_text())["gateway"]["public_address"] == "192.0.2.7"
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


def test_what_a_site_takes_of_its_quota_is_shown_where_it_has_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    quota = {"instances": 9, "cores": 6, "ram": 24576, "flavors": {"m1.huge": 2}, "ports": 11}
    answer(folder, monkeypatch, {"cluster": {"value": OUTPUT | {"quota": quota}}})

    assert main(["show"]) == 0

    assert QUOTA in capsys.readouterr().out


def test_json_is_the_outputs_by_site(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["eu"]["nodes"]["master-1"]["address"] == "10.20.16.11"


def test_before_the_first_deploy_one_line_says_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(folder, monkeypatch, {})
    assert main(["show"]) == 1
    assert capsys.readouterr().err == "demo: nothing is deployed yet: cdktf deploy '*'\n"


def test_before_the_first_synth_it_is_the_same_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cluster.yaml").write_text(CLUSTER)
    monkeypatch.delenv("CLUSTERMESOS_FILE", raising=False)
    assert main(["show"]) == 1
    assert capsys.readouterr().err == "demo: nothing is deployed yet: cdktf deploy '*'\n"


def test_without_a_local_state_terraform_is_not_even_asked(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / ".clustermesos" / "state" / "demo-eu.tfstate").unlink()
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", "no-such-terraform")
    assert main(["show"]) == 1
    assert capsys.readouterr().err == "demo: nothing is deployed yet: cdktf deploy '*'\n"


def test_without_terraform_the_saved_answer_is_shown_and_said_to_be_that(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["show"])
    capsys.readouterr()
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", "no-such-terraform")
    assert main(["show"]) == 0
    captured = capsys.readouterr()
    assert captured.out == TABLE
    assert captured.err.startswith("eu: its outputs can't be read, what it said last time follows:")


def test_without_terraform_and_without_a_saved_answer_it_fails(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERRAFORM_BINARY_NAME", "no-such-terraform")
    assert main(["show"]) == 1
    assert "no-such-terraform: not found" in capsys.readouterr().err


def test_no_secret_is_shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", "--json"])
    captured = capsys.readouterr()
    assert "PRIVATE KEY" not in captured.out + captured.err
