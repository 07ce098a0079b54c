"""`python -m stacks`, as the cdktf command calls it: cluster.yaml in, cdktf.out, lock and secrets out."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.errors import SpecFileError, ToolError
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from constructs_lib.synth import synthesize
from tests.conftest import AwsDouble

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "cluster.yaml"
STACK = Path("cdktf.out/stacks/demo-eu")
PLANNED = plan(load(CLUSTER)).secrets
NAMES = {secret.name for secret in PLANNED}
READ_BY_NODES = {secret.name for secret in PLANNED if secret.declared.roles}
"""Without the authority's key, which stays in the store."""
Json = dict[str, Any]


def stacks(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run it in `folder`, with nothing of our own settings."""
    ours = ("CDKTF", "CLUSTERMESOS", "TF_VAR_")
    base = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return subprocess.run(
        [sys.executable, "-m", "stacks"],
        cwd=folder,
        env=base | {"PYTHONPATH": str(ROOT)} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def read(path: Path) -> Json:
    found: Json = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copyfile(CLUSTER, tmp_path / "cluster.yaml")
    return tmp_path


def test_the_first_run_writes_stack_lock_and_secrets_and_says_what_to_commit(folder: Path) -> None:
    done = stacks(folder)

    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.startswith("cluster.lock.json: added site eu")
    assert done.stderr.endswith("commit this file\n")
    assert set(read(folder / "cluster.lock.json")["secrets"]) == NAMES
    assert (
        set(read(folder / STACK / "secrets.auto.tfvars.json"))
        == READ_BY_NODES
        == NAMES - {"cluster_authority"}
    )
    assert (folder / STACK / "secrets.auto.tfvars.json").stat().st_mode & 0o777 == 0o600
    assert (folder / ".clustermesos").stat().st_mode & 0o777 == 0o700


@pytest.mark.slow
def test_a_second_run_writes_the_same_bytes_and_says_nothing(folder: Path) -> None:
    def written() -> dict[str, bytes]:
        return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}

    stacks(folder)
    before = written()
    done = stacks(folder)

    assert (done.returncode, done.stderr) == (0, "")
    assert written() == before


@pytest.mark.slow
def test_the_file_that_the_environment_names_is_read_and_its_folder_gets_lock_and_secrets(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    done = stacks(elsewhere, CLUSTERMESOS_FILE=str(folder / "cluster.yaml"))

    assert done.returncode == 0, done.stderr
    assert [path.name for path in elsewhere.iterdir()] == ["cdktf.out"]
    assert (folder / "cluster.lock.json").exists()
    state = read(elsewhere / STACK / "cdk.tf.json")["terraform"]["backend"]["local"]["path"]
    assert (elsewhere / STACK / state).resolve().parent == (folder / ".clustermesos" / "state").resolve()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lock", "written"),
    [
        ("", {"use_lockfile": True}),
        (", dynamodb_table: locks", {"dynamodb_table": "locks"}),
        (", dynamodb_table: locks, use_lockfile: true", {"dynamodb_table": "locks", "use_lockfile": True}),
        (", use_lockfile: false", {"use_lockfile": False}),
    ],
)
def test_a_state_in_a_bucket_is_locked_unless_cluster_yaml_says_no(
    folder: Path, lock: str, written: Json
) -> None:
    state = f"state: {{kind: s3, bucket: shop-state, region: eu-west-1{lock}}}\n"
    (folder / "cluster.yaml").write_text(CLUSTER.read_text() + state)

    done = stacks(folder)

    assert done.returncode == 0, done.stderr
    assert (
        read(folder / STACK / "cdk.tf.json")["terraform"]["backend"]["s3"]
        == {
            "bucket": "shop-state",
            "encrypt": True,
            "key": "clustermesos/demo-eu.tfstate",
            "region": "eu-west-1",
        }
        | written
    )


@pytest.mark.embedded
@pytest.mark.terraform
def test_a_state_is_kept_and_locked_in_a_store_that_is_not_aws(
    folder: Path, embedded_aws: AwsDouble, terraform: Path, tool_environment: dict[str, str]
) -> None:
    """moto stands for it: the real terraform asks it for S3 and for nothing else."""
    embedded_aws.client("s3", "us-east-1").create_bucket(Bucket="shop-state")
    state = f"state: {{kind: s3, bucket: shop-state, region: us-east-1, endpoint: {embedded_aws.endpoint}}}\n"
    (folder / "cluster.yaml").write_text(CLUSTER.read_text() + state)
    assert stacks(folder).returncode == 0
    settings = read(folder / STACK / "cdk.tf.json")["terraform"]["backend"]
    work = folder / "work"
    work.mkdir()
    (work / "main.tf.json").write_text(
        json.dumps({"terraform": {"backend": settings}, "output": {"said": {"value": "kept"}}})
    )

    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    for arguments in (["init"], ["apply", "-auto-approve"]):
        done = subprocess.run(
            [terraform, *arguments, "-input=false", "-no-color"],
            cwd=work,
            env=tool_environment | keys,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    kept = embedded_aws.client("s3").get_object(Bucket="shop-state", Key="clustermesos/demo-eu.tfstate")
    assert json.loads(kept["Body"].read())["outputs"]["said"]["value"] == "kept"
    assert kept["ServerSideEncryption"] == "AES256"


@pytest.mark.slow
def test_a_secret_that_the_environment_supplies_is_left_out_of_the_file_that_would_win(folder: Path) -> None:
    done = stacks(folder, TF_VAR_zookeeper_super_password="of-another-store")

    assert done.returncode == 0, done.stderr
    assert set(read(folder / STACK / "secrets.auto.tfvars.json")) == READ_BY_NODES - {
        "zookeeper_super_password"
    }
    assert "of-another-store" not in (folder / ".clustermesos" / "secrets.json").read_text()


def test_wrong_input_is_exit_code_2_and_writes_nothing(folder: Path) -> None:
    (folder / "cluster.yaml").write_text(
        CLUSTER.read_text().replace("count: 3, cpus: 2", "count: 2, cpus: 2")
    )

    done = stacks(folder)

    assert done.returncode == 2
    assert "sites.eu.masters.count: got 2, expected 1, 3 or 5" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in folder.iterdir()] == ["cluster.yaml"]


@pytest.mark.slow
def test_both_engines_write_the_same_cluster(folder: Path) -> None:
    written = {}
    for engine in ("cdktf", "cdktn"):
        done = stacks(folder, CLUSTERMESOS_ENGINE=engine)
        assert done.returncode == 0, done.stderr
        written[engine] = read(folder / STACK / "cdk.tf.json")
        assert written[engine]["//"]["metadata"].pop("version")

    assert written["cdktf"] == written["cdktn"]


def test_an_output_folder_that_cannot_be_made_is_one_line_and_leaves_no_lock(folder: Path) -> None:
    (folder / "taken").write_text("")

    with pytest.raises(ToolError, match=r"taken: can't be made \(.*\); name another folder") as error:
        synthesize(Workspace(folder / "cluster.yaml"), outdir=folder / "taken")

    assert "\n" not in str(error.value)
    assert not (folder / "cluster.lock.json").exists()


@pytest.mark.slow
def test_a_private_folder_that_cannot_be_made_is_one_line(folder: Path) -> None:
    (folder / ".clustermesos").write_text("")

    done = stacks(folder)

    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"{folder}/.clustermesos: can't be made: File exists"]


def test_user_data_over_the_limit_is_refused_with_the_line_of_what_cluster_yaml_adds(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("constructs_lib.aws.user_data.LIMIT", 12_500)
    noise = " ".join(f"{number * 7919 % 104729}" for number in range(700))
    added = (
        f"cloud_config:\n  gateway: {{timezone: Europe/Paris}}\n  master:\n    bootcmd: ['echo {noise}']\n"
    )
    text = CLUSTER.read_text() + added
    (folder / "cluster.yaml").write_text(text)
    line = text.splitlines().index("  master:") + 1

    with pytest.raises(SpecFileError) as refused:
        synthesize(Workspace(folder / "cluster.yaml"), outdir=folder / "out", with_secrets=False)

    [problem] = refused.value.problems
    assert (problem.line, problem.path) == (line, "cloud_config.master")
    assert problem.message.startswith("user data of demo/eu/master-1: ")
    advice = (
        r"cloud_config.master adds ([0-9,]+) bytes of it: shorten it by at least [0-9,]+, or bake an image"
    )
    told = re.search(advice, problem.message)
    assert told and 1_000 < int(told[1].replace(",", "")) < len(noise)
    assert not (folder / "cluster.lock.json").exists()


def test_user_data_that_is_too_long_by_itself_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("constructs_lib.aws.user_data.LIMIT", 1_000)

    with pytest.raises(SpecFileError, match=r"cluster.yaml: user data of .* adds nothing there"):
        synthesize(Workspace(folder / "cluster.yaml"), outdir=folder / "out", with_secrets=False)
