"""What runs in the shell of the machine that deploys, run for real; and what a machine reads of it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.libvirt.secrets import DISK
from tests.libvirt.clusters import cluster_stack, site_plan
from tests.sites.qcow2 import qcow2

FETCH_SECRET = Path(__file__).parents[2] / "cloud-init" / "libvirt" / "fetch-secret"


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    stack: dict[str, Any] = cluster_stack(site_plan("small"))["resource"]
    return stack


def provisioner(resources: dict[str, Any], kind: str, name: str) -> dict[str, Any]:
    (only,) = resources[kind][name]["provisioner"]
    command: dict[str, Any] = only["local-exec"]
    return command


def shell(folder: Path, command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_secrets_are_written_for_their_owner_alone_and_deleted(
    tmp_path: Path, resources: dict[str, Any]
) -> None:
    write = provisioner(resources, "terraform_data", "small_masters_machine")
    remove = provisioner(resources, "libvirt_volume", "small_masters_secrets-a")

    done = shell(tmp_path, write["command"], MACHINE="small-dc1-master-1", SECRETS="a 'b' $c")

    written = tmp_path / "secrets" / "small-dc1-master-1"
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert written.read_text() == "a 'b' $c"
    assert (written.stat().st_mode & 0o777, written.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert shell(tmp_path, remove["command"], MACHINE="small-dc1-master-1").returncode == 0
    assert list((tmp_path / "secrets").iterdir()) == []


def test_no_secret_stands_on_a_command_line(resources: dict[str, Any]) -> None:
    for kind in ("terraform_data", "libvirt_volume"):
        for body in resources[kind].values():
            for each in body.get("provisioner", []):
                assert "var." not in each["local-exec"]["command"]


def test_a_machine_reads_one_secret_from_its_disk(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.write_bytes(json.dumps({"zookeeper_super_password": "correct horse"}).encode().ljust(DISK))

    def read(name: str, where: Path = disk) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(FETCH_SECRET), str(where), name]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert read("zookeeper_super_password").stdout == "correct horse"
    unknown, absent = read("registry_password"), read("registry_password", tmp_path / "none")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert unknown.stderr.startswith("fetch-secret: registry_password came after this machine was made")
    assert (absent.returncode, absent.stdout) == (1, "")
    assert "is the disk of secrets attached" in absent.stderr
    assert "correct horse" not in unknown.stderr + absent.stderr


def test_an_image_is_fetched_once_and_only_with_its_checksum(
    tmp_path: Path, resources: dict[str, Any]
) -> None:
    fetch = provisioner(resources, "terraform_data", "small_storage_image-a")["command"]
    source, image = tmp_path / "noble.qcow2", qcow2()
    source.write_bytes(image)
    digest, room = hashlib.sha256(image).hexdigest(), {"FIELD": "sites.dc1.libvirt.image", "GIB": "20"}

    wrong = shell(tmp_path, fetch, SOURCE=str(source), SHA256="0" * 64, **room)
    assert wrong.returncode == 1
    assert wrong.stderr == f"{source} has the sha256 {digest}, cluster.yaml says {'0' * 64}\n"
    assert list((tmp_path / "images").iterdir()) == []

    assert shell(tmp_path, fetch, SOURCE=str(source), SHA256=digest, **room).returncode == 0
    source.unlink()
    assert shell(tmp_path, fetch, SOURCE=str(source), SHA256=digest, **room).returncode == 0
    assert [file.name for file in (tmp_path / "images").iterdir()] == [digest]
