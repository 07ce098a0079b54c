"""The real cloud-init reads a config drive as nova makes it, and the node's script what it wrote of it."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from constructs_lib.nodes.carried import bundle, carried
from constructs_lib.nodes.cloud_init import APPLY, PROGRAM
from constructs_lib.openstack.secrets import CARRIED_PATHS, SECRETS_PATH
from tests.conftest import need
from tests.openstack.clusters import cluster_stack, site_plan
from tests.openstack.test_secrets import fetch

FIRST_BOOT = """
import sys
from cloudinit import util
from cloudinit.sources import DataSourceConfigDrive as source

drive, root = sys.argv[1:]
write = util.write_file
util.write_file = lambda path, content, mode=0o644: write(root + path, content, mode=mode)
found = source.read_config_drive(drive)
source.on_first_boot(found, network=False)
sys.stdout.write(util.decomp_gzip(found["userdata"]))
"""
"""What cloud-init does with a drive of an instance that it has not seen before, below another root."""
CARRIED = carried(site_plan("private"))
SECRETS = {"key": "-----BEGIN-----\n<&>é\n", "word": "hunter2"}


def config_drive(folder: Path, user_data: bytes) -> Path:
    """The files of nova's drive: https://docs.openstack.org/nova/latest/admin/config-drive.html."""
    packed = base64.b64encode(gzip.compress(bundle(CARRIED).encode())).decode()
    size = len(packed) // len(CARRIED_PATHS) + 1
    parts = {path: packed[n * size : (n + 1) * size] for n, path in enumerate(CARRIED_PATHS)}
    contents = {SECRETS_PATH: json.dumps(SECRETS)} | parts
    files = [{"path": path, "content_path": f"/content/{n:04}"} for n, path in enumerate(contents)]
    meta_data = {"uuid": "83679162-1378-4288-a2d4-70e13ec132aa", "name": "demo-dc1-master-1", "files": files}
    latest, content = folder / "openstack" / "latest", folder / "openstack" / "content"
    latest.mkdir(parents=True)
    content.mkdir()
    (latest / "meta_data.json").write_text(json.dumps(meta_data))
    (latest / "user_data").write_bytes(user_data)
    for number, text in enumerate(contents.values()):
        (content / f"{number:04}").write_text(text)
    return folder


@pytest.fixture
def booted(tmp_path: Path) -> tuple[str, Path]:
    """The user data that cloud-init found, and the root that it wrote to."""
    need("cloud-init")
    text: str = cluster_stack(site_plan("private"))["locals"]["demo_gateway_user_data"]["gateway-1"]
    # As Terraform would: no late value stands in it, only what is escaped.
    plain = text.replace("$${", "${").replace("%%{", "%{")
    drive = config_drive(tmp_path / "drive", gzip.compress(plain.encode()))
    root = tmp_path / "root"
    done = subprocess.run(
        ["/usr/bin/python3", "-c", FIRST_BOOT, str(drive), str(root)],
        env={"PATH": os.defpath, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, root


def test_cloud_init_puts_the_secrets_where_the_nodes_script_reads_them(booted: tuple[str, Path]) -> None:
    _, root = booted
    file = Path(f"{root}{SECRETS_PATH}")

    assert file.stat().st_mode & 0o007 == 0
    for name, value in SECRETS.items():
        done = fetch(file, name)
        assert (done.returncode, done.stdout, done.stderr) == (0, value, "")


def test_cloud_init_unpacks_the_text_that_terraform_compressed(booted: tuple[str, Path]) -> None:
    text, _ = booted

    assert text.startswith("#cloud-config\n")
    written = {entry["path"]: entry["content"] for entry in yaml.safe_load(text)["write_files"]}
    manifest = json.loads(written["/var/lib/clustermesos/incoming/manifest.json"])
    assert manifest["secret_command"].endswith(SECRETS_PATH)
    assert [secret["name"] for secret in manifest["secrets"]] == ["gateway_ssh_host_key_dc1"]


def test_the_node_finds_the_program_beside_its_secrets_and_puts_it_where_it_belongs(
    booted: tuple[str, Path], tmp_path: Path
) -> None:
    text, root = booted
    written = {entry["path"]: entry["content"] for entry in yaml.safe_load(text)["write_files"]}
    assert APPLY not in written
    arrival = tmp_path / "arrival"
    # It runs the program once it is there: `status` changes nothing.
    arrival.write_text(re.sub(r"(?<![\w/.])/(var|usr/local)/", rf"{root}/\1/", written[PROGRAM]))
    for path in (APPLY, PROGRAM):
        Path(f"{root}{path}").parent.mkdir(parents=True, exist_ok=True)

    done = subprocess.run(
        ["sh", str(arrival), "status", "--root", str(root)],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["applied"] is None
    assert Path(f"{root}{PROGRAM}").read_text() == CARRIED[PROGRAM]
