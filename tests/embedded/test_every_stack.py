"""The real cdktf command on all stacks at once: two sites that are linked and the platform's applications.

Against moto, an AWS API double; what the hooks of the last stack ask is a SIMULATOR. The tests run in the
order of this file and each goes on from what the one before left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.hooks.simulated import VARIABLE
from constructs_lib.plan.plan import plan
from constructs_lib.simulator.cluster import RunningClock, SimulatedCluster
from constructs_lib.simulator.cluster.endpoints_file import endpoints
from constructs_lib.spec.load import from_dict
from scripts import cdktf
from tests.conftest import AwsDouble, running_aws
from tests.embedded.cluster import Cluster, environment, settings_for
from tests.embedded.project import Project, finished
from tests.embedded.test_deploy import leftovers

pytestmark = [pytest.mark.embedded, pytest.mark.slow]
CONTRACT = """\
name: web
owner: shop@example.org
dev: {image: "nginx:1.27", ports: {http: 8080}, health: {path: /healthz}}
ops: {cpus: 0.5, memory_mib: 512, instances: 1}
"""
STACKS = ("demo-eu", "demo-us", "demo-platform")
"""In the order of their deploy: the home site is called by the other, and the last waits for both."""


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """A double of this module's own: its tests build on each other."""
    with running_aws(tmp_path_factory.mktemp("every-double")) as double:
        yield double


def two_sites(endpoint: str) -> dict[str, Any]:
    settings = settings_for(endpoint)
    eu = settings["sites"]["eu"]
    eu |= {"zones": 1, "masters": {"count": 1}, "agents": {"general": {"count": 1}}}
    del eu["edge"]
    settings["sites"]["us"] = {
        "platform": "aws",
        "aws": eu["aws"] | {"region": "us-east-1"},
        "network": "10.30.0.0/16",
        "agents": {"general": {"count": 1}},
        "protect_data": False,
    }
    return settings


@pytest.fixture(scope="module")
def project(
    aws: AwsDouble, cdktf_command: Path, terraform: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Project]:
    assert terraform.exists()
    folder, settings = tmp_path_factory.mktemp("project"), two_sites(aws.endpoint)
    (folder / "contracts").mkdir()
    (folder / "contracts" / "web.yaml").write_text(CONTRACT)
    simulated = folder / "simulator.json"
    environ = environment(cdktf.environment()) | {VARIABLE: str(simulated)}
    with SimulatedCluster.of_plan(plan(from_dict(settings)), clock=RunningClock(60)) as sim:
        simulated.write_text(json.dumps(endpoints(sim)))
        yield Project.begun(cdktf_command, Cluster(folder, settings, environ))


def test_one_command_deploys_every_stack_after_those_that_it_needs(project: Project) -> None:
    printed = project.cdktf("deploy")

    assert finished(printed) == [*STACKS]
    states = project.states()
    assert all(states[stack]["resources"] for stack in STACKS)
    (public,) = (
        each["attributes"]["public_ip"]
        for resource in states["demo-eu"]["resources"]
        if resource["type"] == "aws_eip" and "gateway" in resource["name"]
        for each in resource["instances"]
    )
    told = states["demo-us"]["outputs"]["cluster"]["value"]["late_values"]
    assert told["gateway_public_address:eu"] == public


def test_the_last_stack_has_run_the_hooks_with_what_every_site_deployed(project: Project) -> None:
    saved = project.cluster.folder / ".clustermesos" / "outputs"
    assert {file.stem for file in saved.glob("*.json")} >= {"eu", "us"}
    done = project.cluster.command("status")
    assert (done.returncode, "web" in done.stdout) == (0, True), done.stdout + done.stderr


def test_a_second_deploy_changes_nothing_and_runs_no_hook(project: Project) -> None:
    printed = project.cdktf("deploy")

    assert finished(printed) == [*STACKS]
    assert printed.count("No changes.") == len(STACKS)
    assert "local-exec" not in printed
    assert printed.count("0 added, 0 changed, 0 destroyed") == len(STACKS)


def test_one_command_destroys_every_stack_before_those_that_it_needs(
    project: Project, aws: AwsDouble
) -> None:
    printed = project.cdktf("destroy")

    assert finished(printed) == [*reversed(STACKS)]
    assert [stack for stack, state in project.states().items() if state["resources"]] == []
    assert leftovers(aws) == leftovers(aws, "us-east-1") == []
