"""Backends, and output that is the same everywhere: for both engines, any folder, any run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsii
import pytest

from constructs_lib.errors import ResourceError
from constructs_lib.terraform import (
    App,
    Output,
    Resource,
    TerraformStack,
    backend,
    local_backend,
    synth_json,
)
from constructs_lib.terraform.base import engine

SAMPLE = Path(__file__).parent / "sample_stack.py"


def empty_stack(tmp_path: Path) -> TerraformStack:
    return TerraformStack(App(outdir=str(tmp_path / "out")), "eu")


def test_the_local_state_is_kept_under_a_relative_path(tmp_path: Path) -> None:
    stack = empty_stack(tmp_path)
    local_backend(stack, "../../../.clustermesos/state/eu.tfstate")
    assert synth_json(stack)["terraform"]["backend"] == {
        "local": {"path": "../../../.clustermesos/state/eu.tfstate"}
    }


@pytest.mark.parametrize("path", ["/var/eu.tfstate", "C:\\eu.tfstate", ""])
def test_an_absolute_path_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(ResourceError, match="expected a path relative to the folder"):
        local_backend(empty_stack(tmp_path), path)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("s3", {"bucket": "b", "key": "demo/eu", "region": "eu-west-3", "use_lockfile": True}),
        ("gcs", {"bucket": "b", "prefix": "demo/eu"}),
        ("azurerm", {"storage_account_name": "a", "container_name": "c", "key": "k"}),
        ("http", {"address": "https://example.org/eu", "lock_address": "https://example.org/eu/lock"}),
        ("local", {"path": "eu.tfstate"}),
    ],
)
def test_any_backend_keeps_terraform_s_own_names(tmp_path: Path, kind: str, config: dict[str, Any]) -> None:
    stack = empty_stack(tmp_path)
    backend(stack, kind, **config)
    assert synth_json(stack)["terraform"]["backend"] == {kind: config}


def test_an_unknown_backend_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="got the kind 'ftp', expected one of local, s3"):
        backend(empty_stack(tmp_path), "ftp")


def test_another_stack_reads_the_state_by_the_same_settings(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path / "out"))
    first, last = TerraformStack(app, "first"), TerraformStack(app, "last")
    local_backend(first, "../first.tfstate")
    local_backend(last, "../last.tfstate")
    eip = Resource(first, "eip", "aws_eip")
    engine_s_reference = jsii.invoke(eip, "getStringAttribute", ["public_ip"])
    Output(last, "address", engine_s_reference)
    app.synth()
    written = json.loads((tmp_path / "out" / "stacks" / "last" / "cdk.tf.json").read_text())
    (state,) = written["data"]["terraform_remote_state"].values()
    assert state == {
        "backend": "local", "config": {"path": "../first.tfstate"}, "workspace": "${terraform.workspace}",
    }  # fmt: skip


def test_a_warning_in_the_manifest_has_no_stack_trace_with_paths(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path))
    stack = TerraformStack(app, "eu")
    local_backend(stack, "eu.tfstate")
    engine.Annotations.of(stack).add_warning("careful")
    app.synth()
    (annotation,) = json.loads((tmp_path / "manifest.json").read_text())["stacks"]["eu"]["annotations"]
    assert annotation == {"constructPath": "eu", "level": "@cdktf/warn", "message": "careful"}


def synthesize(engine: str, folder: Path) -> str:
    folder.mkdir()
    environment = {**os.environ, "CLUSTERMESOS_ENGINE": engine, "PYTHONPATH": str(SAMPLE.parents[2])}
    done = subprocess.run(
        [sys.executable, SAMPLE], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return (folder / "cdktf.out" / "stacks" / "sample" / "cdk.tf.json").read_text()


@pytest.mark.slow
def test_both_engines_write_the_same_but_for_metadata(tmp_path: Path) -> None:
    written = {engine: json.loads(synthesize(engine, tmp_path / engine)) for engine in ("cdktf", "cdktn")}
    versions = {engine: document["//"]["metadata"].pop("version") for engine, document in written.items()}
    assert versions == {"cdktf": "0.21.0", "cdktn": "0.24.0"}
    assert written["cdktf"] == written["cdktn"]


@pytest.mark.slow
def test_the_output_depends_neither_on_the_folder_nor_on_the_run_and_has_no_path(tmp_path: Path) -> None:
    first = synthesize("cdktf", tmp_path / "one")
    second = synthesize("cdktf", tmp_path / "another")
    assert first == second
    for path in (tmp_path, Path.cwd(), Path.home(), Path(sys.prefix)):
        assert f"{path}/" not in first
