"""What of Terraform's output a person sees, and what of the user's settings Terraform sees."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.cdktf import Progress, environment, terraforms_below
from scripts.tools import TOOLS

SAMPLES = Path(__file__).with_name("terraform_output")


def _shown(sample: str, *, verbose: bool = False) -> tuple[list[str], str]:
    out, kept = io.StringIO(), io.StringIO()
    text = (SAMPLES / sample).read_text()
    Progress(verbose=verbose, out=out).follow(text.splitlines(keepends=True), kept)
    assert kept.getvalue() == text
    return out.getvalue().splitlines(), text


def test_a_deploy_is_one_line_per_resource() -> None:
    shown, _ = _shown("deploy.txt")
    assert shown == [
        "    Plan: 2 to add, 0 to change, 0 to destroy",
        "    [1/2] aws_vpc.x created (0s)",
        "    [2/2] aws_ebs_volume.x created (10s)",
        "    Apply complete! Resources: 2 added, 0 changed, 0 destroyed.",
    ]


def test_a_resource_is_called_by_its_terraform_address() -> None:
    line = (
        'demo-eu  aws_eip.demo_gateway_eip (demo/gateway/eip)["gateway-1"]: Creation complete after 1s [id=e]'
    )
    assert Progress(total=12).line(line) == '[ 1/12] aws_eip.demo_gateway_eip["gateway-1"] created (1s)'
    line = "         aws_iam_role.demo_role (demo/role): Still destroying... [id=demo, 00m20s elapsed]"
    progress = Progress()
    progress._last -= 11
    assert progress.line(line) == "… still destroying aws_iam_role.demo_role (00m20s)"


def test_what_the_app_notes_is_shown_and_is_no_failure() -> None:
    progress = Progress()
    said = "[2026-11-25T19:56:18.519] [ERROR] default - cluster.lock.json: added site eu; commit this file"
    assert progress.line(said) == "cluster.lock.json: added site eu; commit this file"
    assert progress.line("demo-eu  aws_vpc.x will be created") is None


def test_why_a_synth_failed_is_shown_without_cdktfs_own_warnings() -> None:
    shown, _ = _shown("synth_error.txt")
    assert shown[0].endswith("sites.eu.zones: got 9, expected 1, 2 or 3")
    assert any("ERROR: cdktf encountered an error while synthesizing" in line for line in shown)


def test_from_the_first_error_on_everything_is_shown() -> None:
    shown, text = _shown("error.txt")
    whole = [line.strip() for line in text.splitlines() if line.strip()]
    cause = next(line for line in whole if "InvalidSnapshot.NotFound" in line)
    assert any(cause in line for line in shown)


def test_verbose_shows_all_as_it_is() -> None:
    shown, text = _shown("deploy.txt", verbose=True)
    assert shown == text.splitlines()


def test_what_takes_long_is_named_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress(out=io.StringIO())
    line = "demo  aws_lb.x: Still creating... [00m20s elapsed]"
    assert progress.line(line) is None
    progress._last -= 11
    assert progress.line(line) == "… still creating aws_lb.x (00m20s)"


def test_the_users_own_aws_and_terraform_settings_do_not_reach_the_double() -> None:
    given = {
        "PATH": "/bin",
        "HOME": "/home/me",
        "AWS_PROFILE": "production",
        "AWS_SESSION_TOKEN": "real",
        "AWS_ACCESS_KEY_ID": "real",
        "TF_CLI_ARGS": "-destroy",
        "TF_WORKSPACE": "production",
        "TF_LOG": "trace",
        "TF_VAR_gossip_key": "kept",
    }
    env = environment(given)
    assert "real" not in env.values()
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "TF_CLI_ARGS", "TF_WORKSPACE"} & env.keys()
    assert (env["TF_LOG"], env["TF_VAR_gossip_key"], env["HOME"]) == ("trace", "kept", "/home/me")
    assert env["PATH"].split(":")[0] == str(TOOLS / "bin")
    assert env["TF_CLI_CONFIG_FILE"] == str(TOOLS / "terraform.rc")


def test_terraform_is_found_below_cdktf_and_no_other_process_is(tmp_path: Path) -> None:
    script = tmp_path / "terraform_main.py"
    script.write_text("import sys, time; print('up', flush=True); time.sleep(60)")
    inner = f"import subprocess, sys; subprocess.run([sys.executable, {str(script)!r}])"
    cdktf = subprocess.Popen([sys.executable, "-c", inner], stdout=subprocess.PIPE, start_new_session=True)
    stranger = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    try:
        assert cdktf.stdout is not None
        assert cdktf.stdout.readline() == b"up\n"
        found = terraforms_below(cdktf.pid)
        assert len(found) == 1
        assert stranger.pid in terraforms_below(os.getpid())
        os.kill(found[0], 9)
        assert cdktf.wait(timeout=60) == 0
        assert terraforms_below(cdktf.pid) == []
    finally:
        for process in (cdktf, stranger):
            process.kill()
            process.communicate()


def test_what_the_hooks_say_is_shown_and_their_command_is_not() -> None:
    progress = Progress()

    assert progress.line('terraform_data.hooks (local-exec): Executing: ["/bin/sh" "-c" "x"]') is None
    assert (
        progress.line("demo-platform  terraform_data.hooks (hooks) (local-exec):   + app shop")
        == "  + app shop"
    )
