"""Each example runs as its user would run it, and the real terraform takes what it writes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from constructs_lib.terraform import TerraformStack
from stacks.public import PublicCloud
from tests.aws.clusters import GOLDEN, Json, cluster_stack, resources, site_plan

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted(
    path for path in (ROOT / "examples").glob("*.py") if "constructs_lib.aws" in path.read_text()
)


def run(folder: Path, *command: str) -> Json:
    """Runs a Python program in an empty folder; returns the one stack that it writes."""
    ours = ("CDKTF", "CLUSTERMESOS")
    environ = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (stack,) = (folder / "cdktf.out" / "stacks").glob("*/cdk.tf.json")
    found: Json = json.loads(stack.read_text(encoding="utf-8"))
    return found


@pytest.mark.terraform
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_terraform_takes_the_stack_of_an_example(
    example: Path, terraform: Path, tool_environment: dict[str, str], tmp_path: Path
) -> None:
    stack = run(tmp_path, str(example))
    # The plugin at hand; the examples themselves ask for 6.x.
    stack["terraform"]["required_providers"]["aws"]["version"] = "3.39.0"
    (tmp_path / "check").mkdir()
    (tmp_path / "check" / "cdk.tf.json").write_text(_in_the_old_words(stack), encoding="utf-8")

    for arguments in (["init", "-input=false"], ["validate"]):
        done = subprocess.run(
            [terraform, *arguments, "-no-color"],
            cwd=tmp_path / "check",
            env=tool_environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def _in_the_old_words(stack: Json) -> str:
    """Of an elastic IP, 3.39.0 calls `vpc` what the examples' 6.x calls `domain`."""
    return json.dumps(stack).replace('"domain": "vpc"', '"vpc": true')


def test_the_pool_example_makes_agents_beside_foreign_things_and_no_network(tmp_path: Path) -> None:
    found = resources(run(tmp_path, str(ROOT / "examples" / "agent_pool_in_existing_vpc.py")))

    assert "aws_sns_topic.results" in found
    assert found["aws_autoscaling_group.agents"]["vpc_zone_identifier"] == [
        "subnet-0aaa0000000000003",
        "subnet-0bbb0000000000003",
    ]
    assert found["aws_security_group.agents_firewall"]["vpc_id"] == "vpc-0123456789abcdef0"
    assert not {address.split(".")[0] for address in found} & {"aws_vpc", "aws_subnet", "aws_instance"}


def test_the_control_plane_example_makes_masters_and_consul_in_the_network_that_is_there(
    tmp_path: Path,
) -> None:
    found = resources(run(tmp_path, str(ROOT / "examples" / "control_plane_in_existing_vpc.py")))

    assert set(found["aws_instance.masters"]["for_each"]) == {"master-1", "master-2", "master-3"}
    assert set(found["aws_instance.consul"]["for_each"]) == {"consul-1", "consul-2", "consul-3"}
    assert found["aws_instance.masters"]["for_each"]["master-1"]["subnet"] == "subnet-0a0000000000000b1"
    alarm = found["aws_cloudwatch_metric_alarm.first-master-down"]
    assert alarm["dimensions"] == {"InstanceId": '${aws_instance.masters["master-1"].id}'}
    assert not {address.split(".")[0] for address in found} & {"aws_vpc", "aws_subnet", "aws_eip"}


def test_the_front_example_makes_a_gateway_and_an_edge_and_no_master(tmp_path: Path) -> None:
    found = resources(run(tmp_path, str(ROOT / "examples" / "front_of_running_cluster.py")))

    assert {address for address in found if address.startswith("aws_instance.")} == {
        "aws_instance.edge",
        "aws_instance.gateway",
    }
    assert found["aws_route53_record.apps"]["records"] == ["${aws_lb.edge_balancer.dns_name}"]


def test_the_cluster_example_lets_foreign_things_use_the_clusters_network(tmp_path: Path) -> None:
    found = resources(run(tmp_path, str(ROOT / "examples" / "cluster_beside_foreign_resources.py")))

    assert "aws_sqs_queue.orders" in found
    assert found["aws_vpc_endpoint.queue-endpoint"]["vpc_id"] == "${aws_vpc.mesos_network_vpc.id}"
    assert len(found["aws_instance.mesos_masters"]["for_each"]) == 3


def test_the_cloud_written_by_hand_is_the_composed_one(tmp_path: Path) -> None:
    shutil.copyfile(GOLDEN / "demo" / "cluster.yaml", tmp_path / "cluster.yaml")

    by_hand = run(tmp_path, "-m", "stacks.public")

    composed = re.sub(r"\bdemo_(?=\w+)", "", json.dumps(resources(cluster_stack(site_plan("demo")))))
    assert resources(by_hand) == json.loads(composed)


def test_the_stack_written_by_hand_is_a_stack_like_any() -> None:
    assert issubclass(PublicCloud, TerraformStack)
