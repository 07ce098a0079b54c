from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from constructs_lib.access.deployed import Deployed, read_outputs, read_saved, save
from constructs_lib.errors import ToolError

OUTPUT = {
    "cluster": "demo",
    "site": "eu",
    "platform": "aws",
    "nodes": {"master-1": {"role": "master", "zone": "a", "address": "10.0.0.2", "instance_id": "i-1"}},
    "pools": {"general": {"min": 1, "max": 3, "autoscaling_group": "demo-eu-general"}},
    "late_values": {"data_volume_id:master-1": "vol-1"},
    "backup_bucket": "demo-backup",
}


def read(output: object) -> Deployed | None:
    return read_outputs({"cluster": output}, stack="demo-eu")


def test_before_the_first_deploy_there_is_nothing() -> None:
    assert read_outputs({}, stack="demo-eu") is None


def test_what_a_later_version_says_is_kept_in_the_saved_copy(tmp_path: Path) -> None:
    deployed = read(OUTPUT)
    assert deployed is not None
    path = save(deployed, tmp_path)
    assert path == tmp_path / "eu.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["backup_bucket"] == "demo-backup"
    assert read_saved(tmp_path, "eu") == deployed
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_saved_is_none(tmp_path: Path) -> None:
    assert read_saved(tmp_path, "eu") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"cluster": "demo"}', '"\ud83d'])
def test_a_broken_copy_is_one_line_with_what_to_do(tmp_path: Path, text: str) -> None:
    (tmp_path / "eu.json").write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(ToolError, match=r"eu\.json") as caught:
        read_saved(tmp_path, "eu")
    assert "\n" not in str(caught.value)


def test_an_output_of_another_shape_names_the_stack_and_the_place() -> None:
    with pytest.raises(ToolError, match=r"output cluster of the stack demo-eu: nodes: .*deploy again"):
        read({**OUTPUT, "nodes": 3})
