"""Rolls for real: the real Terraform and AWS plugin against moto, an AWS API double.

Nodes do not boot there, so every gate here is a double: a shell command that says what a file tells it
to. The tests go on from what the one before left.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import cdktf
from tests.conftest import AwsDouble, running_aws
from tests.embedded.cluster import Cluster, environment, settings_for

pytestmark = pytest.mark.embedded

MASTERS = ("master-1", "master-2", "master-3")


@pytest.fixture(scope="module")
def aws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """A double of this module's own."""
    with running_aws(tmp_path_factory.mktemp("roll-double")) as double:
        yield double


@pytest.fixture(scope="module")
def cluster(aws: AwsDouble, terraform: Path, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    """Three masters, one Consul node, two agents in one zone, deployed."""
    assert terraform.exists()
    settings = settings_for(aws.endpoint)
    site = settings["sites"]["eu"]
    site |= {"zones": 1, "agents": {"general": {"count": 2, "cpus": 2, "memory_gib": 8}}}
    site.pop("edge")
    folder = tmp_path_factory.mktemp("roll")
    found = Cluster(folder, settings, environment(cdktf.environment()))
    (folder / "sick").write_text("")
    found.apply()
    return found


def machines(cluster: Cluster) -> dict[str, str]:
    """Node → instance id, as the stack's output has it."""
    nodes = cluster.terraform.outputs()["cluster"]["nodes"]
    return {name: node["instance_id"] for name, node in nodes.items()}


def volumes(aws: AwsDouble) -> dict[str, str]:
    """Data volume → the instance that it is attached to."""
    found = aws.client("ec2").describe_volumes()["Volumes"]
    return {
        volume["VolumeId"]: attached["InstanceId"]
        for volume in found
        for attached in volume["Attachments"]
        if attached["Device"] == "/dev/sdf"
    }


def instance(aws: AwsDouble, id: str) -> dict[str, Any]:
    reservations = aws.client("ec2").describe_instances(InstanceIds=[id])["Reservations"]
    described: dict[str, Any] = reservations[0]["Instances"][0]
    return described


def roll(cluster: Cluster, *arguments: str, timeout: str = "2") -> tuple[int, str]:
    """Roll with the double of a gate: healthy is who is not named in the file `sick`."""
    gate = f'! grep -qx "$NODE" {cluster.folder}/sick'
    done = cluster.command("roll", *arguments, "--yes", "--gate", gate, "--gate-timeout", timeout)
    return done.returncode, done.stdout + done.stderr


def sick(cluster: Cluster, *names: str) -> None:
    (cluster.folder / "sick").write_text("".join(f"{name}\n" for name in names))


def test_nothing_to_do_changes_nothing(cluster: Cluster) -> None:
    before = machines(cluster)
    code, said = roll(cluster, "masters")
    assert code == 0, said
    assert "nothing to do: what was asked for is up to date" in said
    assert machines(cluster) == before


def test_a_pending_change_of_anything_else_is_refused_and_named(cluster: Cluster, aws: AwsDouble) -> None:
    before = machines(cluster)
    cluster.site["aws"]["image"] = aws.client("ec2").register_image(Name="a newer image")["ImageId"]
    cluster.site["masters"] |= {"cpus": 4, "memory_gib": 16}
    cluster.settings["cloud_config"] = {"master": {"timezone": "Europe/Paris"}}
    (cluster.folder / "cluster.yaml").write_text(yaml.safe_dump(cluster.settings))
    code, said = roll(cluster, "masters")
    assert code == 1, said
    assert "aws_launch_template.demo_agents-general_template: changed in place" in said
    assert "Deploy that first (it touches no running node): cdktf deploy" in said
    assert machines(cluster) == before


def test_a_plain_deploy_of_another_size_image_and_template_changes_nothing_that_runs(
    cluster: Cluster, aws: AwsDouble
) -> None:
    before, attached = machines(cluster), volumes(aws)
    cluster.apply()
    assert machines(cluster) == before
    assert volumes(aws) == attached
    assert {instance(aws, before[name])["InstanceType"] for name in MASTERS} == {"m7i.large"}


def test_a_sick_master_refuses_the_replacement_of_another_before_anything_changes(cluster: Cluster) -> None:
    before = machines(cluster)
    sick(cluster, "master-3")
    code, said = roll(cluster, "masters")
    assert code == 1, said
    assert "without master-1, 1 of 3 would be left and the quorum is 2" in said
    assert "master-1 was not touched" in said
    assert machines(cluster) == before
    sick(cluster)


def test_a_dry_run_tells_what_is_behind_and_changes_nothing(cluster: Cluster) -> None:
    before = machines(cluster)
    code, said = roll(cluster, "masters", "--dry-run")
    assert code == 0, said
    for name in MASTERS:
        assert f"{name}: ami: " in said
    assert "instance_type: m7i.large → m7i.xlarge" in said
    assert machines(cluster) == before


def test_a_failed_gate_stops_after_the_first_and_the_data_volume_has_moved_with_it(
    cluster: Cluster, aws: AwsDouble
) -> None:
    before, attached = machines(cluster), volumes(aws)
    address = instance(aws, before["master-1"])["PrivateIpAddress"]
    # Healthy until master-1 is replaced, and not since: the gate looks at what runs.
    state = cluster.folder / ".clustermesos" / "outputs" / "eu.json"
    gate = f'[ "$NODE" != master-1 ] || grep -q {before["master-1"]} {state}'
    done = cluster.command("roll", "masters", "--yes", "--gate", gate, "--gate-timeout", "2")
    assert done.returncode == 1, done.stdout
    assert "master-1 was replaced, and after 2 seconds not all are healthy" in done.stderr
    assert "Stopped at master-1; done before: none" in done.stderr
    after = machines(cluster)
    assert [name for name in before if after[name] != before[name]] == ["master-1"]
    assert instance(aws, after["master-1"])["InstanceType"] == "m7i.xlarge"
    assert instance(aws, after["master-1"])["PrivateIpAddress"] == address
    moved = {volume for volume, machine in attached.items() if machine == before["master-1"]}
    assert {volume for volume, machine in volumes(aws).items() if machine == after["master-1"]} == moved


def test_running_it_again_goes_on_with_those_left_one_at_a_time(cluster: Cluster, aws: AwsDouble) -> None:
    before = machines(cluster)
    code, said = roll(cluster, "masters")
    assert code == 0, said
    assert "master-1: up to date" in said
    assert "done: master-2, master-3" in said
    after = machines(cluster)
    assert sorted(name for name in before if after[name] != before[name]) == ["master-2", "master-3"]
    # Nothing of the second begins before the first was found healthy.
    first = said.index("master-2: replaced")
    assert said.index('masters["master-3"]: Destroying') > said.index("master-3: healthy", first)


def test_a_machine_that_is_gone_is_made_again_and_no_other_is_touched(
    cluster: Cluster, aws: AwsDouble
) -> None:
    before = machines(cluster)
    aws.client("ec2").terminate_instances(InstanceIds=[before["master-2"]])
    code, said = roll(cluster, "masters")
    assert code == 0, said
    assert "master-2 is incomplete" in said
    after = machines(cluster)
    assert [name for name in before if after[name] != before[name]] == ["master-2"]


def test_agents_of_an_older_template_are_replaced_one_by_one(cluster: Cluster, aws: AwsDouble) -> None:
    scaling = aws.client("autoscaling")
    before = group(scaling)
    code, said = roll(cluster, "agents", "general", timeout="60")
    assert code == 0, said
    after = group(scaling)
    assert set(after).isdisjoint(before)
    assert len(after) == len(before) == 2
    assert len(set(before.values()) | set(after.values())) == 2, "one old version, one new"
    code, said = roll(cluster, "agents", "general")
    assert code == 0, said
    assert "nothing to do" in said


def group(scaling: Any) -> dict[str, str]:
    """Instance id → version of its launch template."""
    described = scaling.describe_auto_scaling_groups(AutoScalingGroupNames=["demo-eu-general"])
    return {
        one["InstanceId"]: one["LaunchTemplate"]["Version"]
        for one in described["AutoScalingGroups"][0]["Instances"]
        if one["LifecycleState"] == "InService"
    }


def test_show_prints_what_runs_now(cluster: Cluster) -> None:
    done = cluster.command("show")
    assert done.returncode == 0, done.stderr
    assert "Log in:  ssh -F .clustermesos/ssh_config master-1.eu" in done.stdout
    for name in machines(cluster):
        assert name in done.stdout
