"""The fixtures as a user's project has them: a pytest of its own runs the example, and small files."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from constructs_lib.hooks.simulated import VARIABLE as READ_BY_HOOKS
from constructs_lib.hooks.simulated import read_endpoints
from constructs_lib.simulator.cluster import SimulatedCluster
from constructs_lib.simulator.cluster.endpoints_file import VARIABLE, endpoints, write_endpoints

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples" / "simulated"


NAMED = ("-p", "constructs_lib.simulator.pytest_plugin")


def run(
    folder: Path, *arguments: str, named: tuple[str, ...] = NAMED, path: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pytest", *named, "-p", "no:cacheprovider", "-q", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PYTHONPATH": f"{ROOT}{path}", "PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1"},
    )


@pytest.mark.slow
def test_the_example_passes_as_it_is() -> None:
    done = run(EXAMPLE, "--rootdir", str(EXAMPLE), "-c", "/dev/null", "test_contracts.py")

    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_the_documentation_shows_the_example() -> None:
    shown = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
    test = (EXAMPLE / "test_contracts.py").read_text(encoding="utf-8")

    assert f"```python\n{test}```" in shown


@pytest.mark.slow
def test_the_agents_come_from_the_setting_or_the_marker(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(f"[pytest]\nclustermesos_file = {EXAMPLE / 'cluster.yaml'}\n")
    (tmp_path / "test_agents.py").write_text(
        "import pytest\n"
        "def pools(sim): return [agent.attributes['pool'] for agent in sim.world.agents.values()]\n"
        "def test_setting(simulated_cluster):\n"
        "    assert pools(simulated_cluster) == ['general'] * 3 + ['data']\n"
        "@pytest.mark.simulated_cluster(agents={'general': 1}, masters=2)\n"
        "def test_marker(simulated_cluster):\n"
        "    assert pools(simulated_cluster) == ['general', 'data']\n"
        "    assert len(simulated_cluster.urls('marathon')) == 2\n"
    )
    done = run(tmp_path, "--strict-markers")

    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_without_a_cluster_yaml_there_are_three_agents_and_no_pools_to_count(tmp_path: Path) -> None:
    (tmp_path / "test_none.py").write_text(
        "import json, os, pytest, time\n"
        "from pathlib import Path\n"
        "def test_default(simulated_cluster): assert len(simulated_cluster.world.agents) == 3\n"
        "@pytest.mark.simulated_cluster(agents={'general': 1})\n"
        "def test_pools(simulated_cluster): pass\n"
        "def test_running(simulated_platform):\n"
        "    found = json.loads(Path(os.environ['CLUSTERMESOS_SIMULATOR']).read_text())\n"
        "    url = simulated_platform.marathon_url\n"
        "    assert found['instances']['marathon'] == [url.removeprefix('http://')]\n"
        "    before = simulated_platform.now()\n"
        "    while simulated_platform.now() < before + 2: time.sleep(0.01)\n"
    )
    done = run(tmp_path, "-c", "/dev/null", "--rootdir", ".")

    assert "2 passed, 1 error" in done.stdout, done.stdout
    assert "needs file=" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("also", ["", "pytest_plugins = ['constructs_lib.simulator.pytest_plugin']\n"])
def test_pytest_finds_the_fixtures_where_they_are_installed_whether_a_conftest_names_them_or_not(
    also: str, tmp_path: Path
) -> None:
    # What an installer makes of pyproject.toml.
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    info = tmp_path / "site" / "installed-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1\n")
    lines = [f"{name} = {module}" for name, module in declared.items()]
    (info / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines]))
    project = tmp_path / "project"
    project.mkdir()
    (project / "conftest.py").write_text(also)
    (project / "test_one.py").write_text(
        "def test_one(simulated_cluster): assert simulated_cluster.tasks() == []\n"
    )

    done = run(project, named=(), path=f":{tmp_path / 'site'}")

    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_a_pytest_that_does_not_use_the_fixtures_loads_nothing_for_them() -> None:
    program = (
        "import sys, pytest; before = set(sys.modules); import constructs_lib.simulator.pytest_plugin; "
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )

    ours = ["constructs_lib", "constructs_lib.simulator", "constructs_lib.simulator.pytest_plugin"]
    assert done.stdout.split() == ours


def test_hooks_read_what_the_simulator_writes(sim: SimulatedCluster, tmp_path: Path) -> None:
    file = tmp_path / "simulator.json"
    write_endpoints(file, endpoints(sim, {"": "http://127.0.0.1:8500"}))
    found = read_endpoints(file)

    assert VARIABLE == READ_BY_HOOKS
    assert found.simulator
    assert [one.where for one in found.instances["marathon"]] == list(sim.instances["marathon"].addresses)
    assert [one.where for one in found.instances["consul/eu"]] == ["127.0.0.1:8500"]
