"""The nodes' program comes on the disk of secrets: found at the first boot, or missed in one clear line."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from constructs_lib.components.model import Role
from constructs_lib.libvirt.secrets import DEVICE, DISK, PROGRAM, secret_source
from constructs_lib.nodes.arrival import BUNDLE
from constructs_lib.nodes.carried import carried
from constructs_lib.nodes.cloud_init import APPLY
from constructs_lib.nodes.cloud_init import PROGRAM as PLACE
from constructs_lib.nodes.generation import incoming
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.ensure import ensure
from constructs_lib.sites.carried import size_in_base64
from constructs_lib.spec.load import from_dict
from tests.conftest import need
from tests.libvirt.clusters import CASES, Json, cluster_stack, of_kind, settings, site_plan

SPACE_LEFT = 0.3
"""Part of the disk that real secrets and the program leave."""


@pytest.fixture(scope="module")
def stack() -> Json:
    return cluster_stack(site_plan("small"))


@pytest.fixture
def written(stack: Json) -> dict[str, str]:
    """Path → content of what cloud-init writes on master-1."""
    text: str = stack["locals"]["small_masters_user_data"]["master-1"]
    # As Terraform would: no late value matters here, only what is escaped.
    loaded = yaml.safe_load(text.replace("$${", "${").replace("%%{", "%{"))
    return {entry["path"]: entry["content"] for entry in loaded["write_files"]}


def packed(program: bytes) -> str:
    return base64.b64encode(gzip.compress(program)).decode()


def disk_text(stack: Json, values: dict[str, str], folder: Path) -> str:
    """What the real Terraform makes of master-1's disk with these secrets."""
    terraform = need("terraform")
    (provisioner,) = of_kind(stack, "terraform_data.")["small_masters_machine"]["provisioner"]
    code = provisioner["local-exec"]["environment"]["SECRETS"][2:-1]
    main: dict[str, Any] = {
        "locals": {"carried": stack["locals"]["carried"]},
        "variable": {name: {"default": values.get(name, "")} for name in re.findall(r"var\.(\w+)", code)},
    }
    (folder / "main.tf.json").write_text(json.dumps(main))
    done = subprocess.run(
        [terraform, "console"],
        cwd=folder,
        input=f"jsonencode({code})",
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    text: str = json.loads(json.loads(done.stdout))
    return text


def arrive(root: Path, written: dict[str, str], disk: Path) -> subprocess.CompletedProcess[str]:
    """The script in the program's place, below another root; its `status` changes nothing."""
    for path, content in written.items():
        file = Path(f"{root}{path}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    script = Path(f"{root}{PLACE}")
    text = script.read_text().replace(DEVICE, str(disk))
    script.write_text(re.sub(r"(?<![\w/.])/(var/lib|usr/local)/", rf"{root}/\1/", text))
    return subprocess.run(
        ["sh", str(script), "status", "--root", str(root)],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_the_first_boot_takes_the_program_from_the_disk_that_terraform_writes(
    stack: Json, written: dict[str, str], tmp_path: Path
) -> None:
    disk, root = tmp_path / "disk", tmp_path / "root"
    disk.write_text(disk_text(stack, {"registry_password": "<&>é $"}, tmp_path))
    assert APPLY not in written

    done = arrive(root, written, disk)

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["applied"] is None
    assert Path(f"{root}{PLACE}").read_text() == carried(site_plan("small"))[PLACE]
    assert json.loads(disk.read_text())["registry_password"] == "<&>é $"


@pytest.mark.parametrize(
    ("disk", "reason"),
    [
        (None, "is the disk of secrets attached, on virtio, as it was made?"),
        ({}, f"{PROGRAM} came after this machine was made: clustermesos roll replaces it"),
        ({PROGRAM: packed(b"another program")}, "1 computed checksum did NOT match"),
        ({PROGRAM: "H4sI"}, "unexpected end of file"),
    ],
)
def test_a_program_that_is_missing_or_another_one_ends_the_attempt_at_once(
    disk: dict[str, str] | None, reason: str, written: dict[str, str], tmp_path: Path
) -> None:
    if disk is not None:
        (tmp_path / "disk").write_text(json.dumps(disk).ljust(DISK))

    done = arrive(tmp_path / "root", written, tmp_path / "disk")

    # 2: the unit does not try again by time (RestartPreventExitStatus).
    assert (done.returncode, done.stdout.replace(f"{tmp_path}/root{BUNDLE}: FAILED\n", "")) == (2, "")
    assert reason in done.stderr
    told = done.stderr.splitlines()[-1]
    assert told.startswith(
        "clustermesos-apply: what came with this machine is not the program that its files"
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("case", CASES)
def test_the_secrets_of_each_role_and_the_program_leave_room_on_the_disk(case: str, tmp_path: Path) -> None:
    planned = plan(from_dict(settings(case)))
    values = ensure(planned.secrets, (), tmp_path / "secrets.json", {})
    site = planned.site("dc1")
    for role in Role:
        named = {secret.name: values[secret.name] for secret in site.secrets_of(role)}
        assert len(json.dumps(named)) + size_in_base64(site) < DISK * (1 - SPACE_LEFT), role


def test_another_program_changes_nothing_of_a_machine_that_runs(stack: Json) -> None:
    """Its text, which holds the program's hash, and its disk are only read when the machine is replaced."""
    for name, body in of_kind(stack, "terraform_data.").items():
        if name.endswith("_machine"):
            assert body["lifecycle"]["ignore_changes"] == ["input"]
            assert "triggers_replace" not in body
    for kind in ("libvirt_cloudinit_disk.", "libvirt_volume.", "libvirt_domain."):
        for name, body in of_kind(stack, kind).items():
            assert body["lifecycle"]["ignore_changes"] == "all", name
            assert "local.carried" not in json.dumps(body)


def test_nodes_apply_brings_a_new_program_as_everywhere() -> None:
    site = site_plan("small")
    files = incoming(render(site, site.nodes_of(Role.MASTER)[0]), secret_source(site))

    assert [carried(site)[PLACE]] == [file.content for file in files if file.path == APPLY]
