"""The runner with the real program and a stack that needs no plugin."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from constructs_lib.errors import ToolError
from constructs_lib.roll.terraform_cli import Terraform

pytestmark = pytest.mark.terraform

STACK = {
    "terraform": {"backend": {"local": {"path": "states/one.tfstate"}}},
    "variable": {"password": {"type": "string", "sensitive": True}},
    "resource": {
        "terraform_data": {
            "first": {"input": "${var.password}"},
            "node": {
                "for_each": {"a": "1", "b": "2"},
                "input": "${each.value}",
                "lifecycle": {"ignore_changes": ["input"]},
            },
        }
    },
    "output": {"cluster": {"value": {"a": 1}}, "hidden": {"value": "${var.password}", "sensitive": True}},
}
SECRET = "correct-horse-battery"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def stack(tmp_path: Path, terraform: Path, tool_environment: dict[str, str], said: list[str]) -> Terraform:
    assert terraform.exists()
    (tmp_path / "states").mkdir()
    (tmp_path / "cdk.tf.json").write_text(json.dumps(STACK))
    (tmp_path / "secrets.auto.tfvars.json").write_text(json.dumps({"password": SECRET}))
    runner = Terraform(folder=tmp_path, say=said.append, environ=tool_environment)
    assert not runner.initialized
    runner.init()
    assert runner.initialized
    return runner


def test_a_plan_is_applied_as_it_was_read_and_no_secret_is_said(
    stack: Terraform, said: list[str], tmp_path: Path
) -> None:
    assert stack.outputs() == {}
    file = tmp_path / "plan"
    shown = stack.plan(file)
    assert {change["address"] for change in shown["resource_changes"]} == {
        "terraform_data.first",
        'terraform_data.node["a"]',
        'terraform_data.node["b"]',
    }
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    stack.apply(file)
    assert any(line.startswith("Apply complete!") for line in said)
    assert not any(SECRET in line for line in said)
    assert stack.outputs() == {"cluster": {"a": 1}, "hidden": SECRET}


def test_only_the_named_one_is_replaced(stack: Terraform, tmp_path: Path) -> None:
    file = tmp_path / "plan"
    stack.plan(file)
    stack.apply(file)
    shown = stack.plan(file, replace=['terraform_data.node["a"]'], refresh=False)
    actions = {change["address"]: change["change"]["actions"] for change in shown["resource_changes"]}
    assert actions == {
        "terraform_data.first": ["no-op"],
        'terraform_data.node["a"]': ["delete", "create"],
        'terraform_data.node["b"]': ["no-op"],
    }


def test_a_plan_whose_state_has_moved_on_is_refused_by_the_program(stack: Terraform, tmp_path: Path) -> None:
    stack.plan(tmp_path / "one")
    stack.plan(tmp_path / "two")
    stack.apply(tmp_path / "one")
    with pytest.raises(ToolError, match="Saved plan is stale"):
        stack.apply(tmp_path / "two")


def test_a_failure_has_the_programs_last_words(stack: Terraform, tmp_path: Path) -> None:
    (tmp_path / "cdk.tf.json").write_text(
        json.dumps({**STACK, "output": {"x": {"value": "${no.such_thing}"}}})
    )
    with pytest.raises(
        ToolError,
        match=r"terraform plan in .* failed with exit code 1:(?s:.*)Reference to undeclared resource",
    ):
        stack.plan(tmp_path / "plan")


def test_a_program_that_is_killed_is_told_as_such(tmp_path: Path) -> None:
    program = tmp_path / "killed"
    program.write_text("#!/bin/sh\nkill -9 $$\n")
    program.chmod(0o755)
    runner = Terraform(folder=tmp_path, environ={"TERRAFORM_BINARY_NAME": str(program)})
    with pytest.raises(ToolError, match="was ended by SIGKILL"):
        runner.init()


def test_a_missing_program_says_how_to_name_another(tmp_path: Path) -> None:
    runner = Terraform(folder=tmp_path, environ={"TERRAFORM_BINARY_NAME": "no-such-terraform"})
    with pytest.raises(ToolError, match=r"no-such-terraform: not found; .*TERRAFORM_BINARY_NAME"):
        runner.init()


def test_a_missing_folder_says_to_synthesize(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="clustermesos synth"):
        Terraform(folder=tmp_path / "nowhere", environ={}).init()


def test_ctrl_c_waits_until_the_program_has_written_its_state(tmp_path: Path) -> None:
    """A stand-in for Terraform that takes its time after SIGINT, as Terraform does to write its state."""
    program = tmp_path / "slow"
    program.write_text(
        "#!/bin/sh\ntrap 'sleep 1; echo written > state; exit 1' INT\necho started\n"
        "while :; do sleep 0.1; done\n"
    )
    program.chmod(0o755)
    script = (
        "import sys, pathlib\n"
        "from constructs_lib.roll.terraform_cli import Terraform\n"
        f"t = Terraform(folder=pathlib.Path({str(tmp_path)!r}), say=lambda line: print(line, flush=True),\n"
        f"              environ={{'TERRAFORM_BINARY_NAME': {str(program)!r}, 'PATH': '/usr/bin:/bin'}})\n"
        "try:\n    t.apply(pathlib.Path('plan'))\n"
        "except KeyboardInterrupt:\n    sys.exit(130)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    # As a terminal does: to the whole group.
    subprocess.run(["kill", "-INT", "--", f"-{process.pid}"], check=True)
    assert process.wait(timeout=120) == 130
    assert (tmp_path / "state").read_text() == "written\n"
    process.stdout.close()
