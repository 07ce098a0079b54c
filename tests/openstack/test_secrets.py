"""Secrets come by the config drive: the right ones, small enough, and nowhere else."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from constructs_lib.openstack.elastic import variable_name
from constructs_lib.openstack.secrets import CARRIED_PATHS, LONGEST_FILE, SECRETS_PATH, secret_source
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.ensure import ensure
from constructs_lib.spec.load import from_dict
from tests.openstack.clusters import CASES, Json, cluster_stack, resources, settings, site_plan

CUT = r"\$\{substr\(base64gzip\(local\.carried\.v[0-9a-f]{12}\), (\d+), (\d+)\)\}"
SCRIPT = Path(__file__).parents[2] / "cloud-init" / "openstack" / "fetch-secret"


def machines(stack: Json) -> list[Json]:
    return [
        body for name, body in resources(stack).items() if name.startswith("openstack_compute_instance_v2.")
    ]


@pytest.mark.parametrize("case", CASES)
def test_a_machine_gets_the_secrets_of_its_role_and_no_others(case: str) -> None:
    site = site_plan(case)

    for body in machines(cluster_stack(site)):
        file, *_ = body["personality"]
        role = Role(body["metadata"]["clustermesos:role"])
        assert file["file"] == SECRETS_PATH
        named = set(re.findall(r"var\.(\w+)", file["content"]))
        assert named == {secret.name for secret in site.secrets_of(role)}


@pytest.mark.parametrize("case", CASES)
def test_no_secret_is_in_user_data_metadata_or_output(case: str) -> None:
    site = site_plan(case)
    stack = cluster_stack(site)

    numbers = {variable_name(site, pool) for pool in site.pools if pool.elastic}
    for name in ("locals", "output", "provider"):
        assert set(re.findall(r"var\.(\w+)", json.dumps(stack[name]))) <= numbers
    for body in machines(stack):
        assert "var." not in json.dumps({key: body[key] for key in ("user_data", "metadata", "name")})
    assert {name for name, variable in stack["variable"].items() if not variable.get("sensitive")} == numbers


@pytest.mark.parametrize("case", CASES)
def test_the_secrets_of_each_role_fit_into_one_file_with_room_to_spare(case: str, tmp_path: Path) -> None:
    planned = plan(from_dict(settings(case)))
    values = ensure(planned.secrets, (), tmp_path / "secrets.json", {})
    site = planned.site("dc1")

    for role in site.roles:
        named = {secret.name: values[secret.name] for secret in site.secrets_of(role)}
        assert len(json.dumps(named)) < LONGEST_FILE * 0.8, role


@pytest.mark.parametrize("case", CASES)
def test_terraform_refuses_secrets_that_nova_would_not_take(case: str) -> None:
    for body in machines(cluster_stack(site_plan(case))):
        (told,) = body["lifecycle"]["precondition"]
        assert told["condition"].endswith(" <= 10240}")
        assert body["personality"][0]["content"][2:-1] in told["condition"]


@pytest.mark.parametrize("case", CASES)
def test_every_machine_gets_what_is_carried_in_parts_that_nova_takes(case: str) -> None:
    stack = cluster_stack(site_plan(case))
    [text] = stack["locals"]["carried"].values()
    text = text.replace("$${", "${").replace("%%{", "%{")
    packed = base64.b64encode(gzip.compress(text.encode(), 6)).decode()

    for body in machines(stack):
        parts = body["personality"][-len(CARRIED_PATHS) :]
        assert [part["file"] for part in parts] == [*CARRIED_PATHS]
        cuts = [re.fullmatch(CUT, part["content"]) for part in parts]
        bounds = [(int(cut[1]), int(cut[2])) for cut in cuts if cut]
        pieces = [packed[start : start + size] for start, size in bounds]
        assert "".join(pieces) == packed
        assert all(0 < len(piece) < LONGEST_FILE * 0.8 for piece in pieces)
        # Nova's default quota of such files is five.
        assert len(body["personality"]) <= 5


def fetch(file: Path, name: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), str(file), name],
        env={"PATH": os.defpath},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


def test_the_node_prints_one_secret_and_closes_the_file(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"key": "-----BEGIN-----\n<&>é\n", "other": "x"}))
    file.chmod(0o660)

    done = fetch(file, "key")

    assert (done.returncode, done.stdout, done.stderr) == (0, "-----BEGIN-----\n<&>é\n", "")
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", [None, "", "{"])
def test_a_config_drive_that_was_not_read_is_named(text: str | None, tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    if text is not None:
        file.write_text(text)

    done = fetch(file, "key")

    assert (done.returncode, done.stdout) == (1, "")
    assert "config drive" in done.stderr and "Traceback" not in done.stderr


def test_a_secret_that_came_later_says_so_and_shows_no_other(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text(json.dumps({"other": "hunter2"}))

    done = fetch(file, "key")

    assert (done.returncode, done.stdout) == (1, "")
    assert "clustermesos roll" in done.stderr and "hunter2" not in done.stderr


def test_the_node_asks_for_a_secret_by_its_name_last() -> None:
    source = secret_source(site_plan())

    assert source.command == f"/usr/local/lib/clustermesos/fetch-secret {SECRETS_PATH}"
    assert [file.mode for file in source.files] == [0o755]
