"""Running checkov and reading its JSON: the recorded case, and every way in which it can go wrong."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.errors import ScanError, ToolError
from constructs_lib.scan.checkov import PROGRAM_VARIABLE, Result, find_checkov, read_output, run_checkov
from constructs_lib.scan.layout import canonical
from tests.scan.cases import program, recorded, stack

TEXTS = {"demo-eu": canonical(stack())}


def verdicts(results: tuple[Result, ...]) -> dict[tuple[str, str], bool]:
    return {(result.check, result.address): result.passed for result in results}


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(recorded())
    return loaded


def environ(script: str) -> dict[str, str]:
    return {**os.environ, PROGRAM_VARIABLE: script}


class TestReading:
    def test_two_resources_of_one_name_are_told_apart_by_their_lines(self) -> None:
        """checkov calls both `resource.same`; the instance passes and the template fails."""
        found = verdicts(read_output(recorded(), TEXTS).results)
        assert found["CKV_AWS_79", "aws_instance.same"] is True
        assert found["CKV_AWS_79", "aws_launch_template.same"] is False

    def test_a_data_source_gets_terraforms_address_from_both_kinds_of_checks(self) -> None:
        found = verdicts(read_output(recorded(), TEXTS).results)
        assert found["CKV_AWS_111", "data.aws_iam_policy_document.reading"] is False
        assert found["CKV2_AWS_40", "data.aws_iam_policy_document.reading"] is True

    def test_what_is_no_resource_keeps_checkovs_name(self) -> None:
        assert verdicts(read_output(recorded(), TEXTS).results)["CKV_AWS_41", "provider.aws"] is True

    def test_instances_are_one_result_that_lists_them(self) -> None:
        results = read_output(recorded(), TEXTS).results
        merged = [r for r in results if (r.check, r.address) == ("CKV2_AWS_41", "aws_instance.merged")]
        assert [result.instances for result in merged] == [('["one"]', '["two"]')]

    def test_phantom_instances_are_left_out_and_counted(self) -> None:
        run = read_output(recorded(), TEXTS)
        assert run.phantoms == 2
        assert not [r for r in run.results if any("line__" in instance for instance in r.instances)]

    def test_a_resource_fails_when_one_of_its_instances_does(self) -> None:
        loaded = document()
        failed = loaded["results"]["failed_checks"]
        one = next(record for record in failed if record["resource"] == 'aws_instance.merged["one"]')
        one["check_result"]["result"] = "PASSED"
        (result,) = (
            r
            for r in read_output(json.dumps(loaded), TEXTS).results
            if (r.check, r.address) == ("CKV2_AWS_41", "aws_instance.merged")
        )
        assert (result.passed, result.instances) == (False, ('["two"]',))

    def test_a_check_that_all_instances_pass_lists_them_too(self) -> None:
        loaded = document()
        for record in loaded["results"]["failed_checks"]:
            record["check_result"]["result"] = "PASSED"
        results = read_output(json.dumps(loaded), TEXTS).results
        (merged,) = (r for r in results if (r.check, r.address) == ("CKV2_AWS_41", "aws_instance.merged"))
        assert (merged.passed, merged.instances) == (True, ('["one"]', '["two"]'))

    def test_the_order_does_not_depend_on_checkovs(self) -> None:
        loaded = document()
        loaded["results"]["failed_checks"].reverse()
        loaded["results"]["passed_checks"].reverse()
        assert read_output(json.dumps(loaded), TEXTS) == read_output(recorded(), TEXTS)

    def test_a_stack_without_anything_to_check_has_no_results(self) -> None:
        empty = '{"passed": 0, "failed": 0, "parsing_errors": 0, "checkov_version": "3.3.30"}'
        assert read_output(empty, TEXTS).results == ()

    @pytest.mark.parametrize(
        "output",
        ["", "not json", "[]", "null", "1", "{}", '{"results": {}}', '{"results": {"parsing_errors": []}}'],
    )
    def test_output_of_another_shape_is_refused_with_its_start(self, output: str) -> None:
        with pytest.raises(ScanError, match=r"checkov 3\.3 is expected, it starts with: ") as caught:
            read_output(output, TEXTS)
        assert str(caught.value).endswith(output or "nothing")

    def test_output_about_a_stack_that_was_not_given_is_refused(self) -> None:
        with pytest.raises(ScanError, match="KeyError: 'demo-eu'"):
            read_output(recorded(), {"other": ""})

    def test_a_file_that_checkov_could_not_read_fails_the_scan(self) -> None:
        loaded = document()
        loaded["results"]["parsing_errors"] = ["demo-eu/cdk.tf.json"]
        with pytest.raises(ScanError, match="could not read demo-eu/cdk"):
            read_output(json.dumps(loaded), TEXTS)


class TestFinding:
    def test_the_environments_program_comes_first(self, tmp_path: Path) -> None:
        named = program(tmp_path / "mine", "exit 0")
        program(tmp_path / "checkov", "exit 0")
        assert find_checkov({PROGRAM_VARIABLE: named, "PATH": str(tmp_path)}) == named

    def test_then_the_path_is_searched(self, tmp_path: Path) -> None:
        in_path = program(tmp_path / "checkov", "exit 0")
        assert find_checkov({"PATH": str(tmp_path)}) == in_path

    def test_without_one_the_error_says_how_to_install_it(self, tmp_path: Path) -> None:
        with pytest.raises(ToolError, match=r"checkov is not in PATH.*pip install.*CLUSTERMESOS_CHECKOV"):
            find_checkov({"PATH": str(tmp_path)})

    @pytest.mark.parametrize("named", ["missing", "folder", "plain"])
    def test_a_named_program_that_cannot_run_is_an_error_that_names_it(
        self, tmp_path: Path, named: str
    ) -> None:
        (tmp_path / "folder").mkdir()
        (tmp_path / "plain").write_text("", encoding="utf-8")
        with pytest.raises(ToolError, match=f"CLUSTERMESOS_CHECKOV: got '.*{named}'"):
            find_checkov({PROGRAM_VARIABLE: str(tmp_path / named), "PATH": "/usr/bin"})


class TestRunning:
    def test_a_crash_is_reported_with_its_last_words(self, tmp_path: Path) -> None:
        script = program(tmp_path / "checkov", "echo 'Traceback' >&2; echo 'ValueError: boom' >&2; exit 3")
        with pytest.raises(ToolError, match="failed with exit code 3:\nTraceback\nValueError: boom"):
            run_checkov({"demo-eu": stack()}, environ(script))

    def test_a_program_of_another_format_could_not_be_started(self, tmp_path: Path) -> None:
        script = tmp_path / "checkov"
        script.write_bytes(b"\x7fELF nonsense")
        script.chmod(0o755)
        with pytest.raises(ToolError, match="could not be started: Exec format error"):
            run_checkov({"demo-eu": stack()}, environ(str(script)))

    def test_what_runs_too_long_is_ended_with_everything_it_started(self, tmp_path: Path) -> None:
        pid = tmp_path / "pid"
        script = program(tmp_path / "checkov", f"sleep 600 & echo $! > {pid}; wait")
        with pytest.raises(ToolError, match=r"did not end within 0\.5 s and was stopped"):
            run_checkov({"demo-eu": stack()}, environ(script), time_limit=0.5)
        assert _ends(int(pid.read_text()))

    def test_it_sees_the_stacks_and_nothing_else(self, tmp_path: Path) -> None:
        """No secrets that lie beside a stack, no configuration, no key of an account, no variable's value."""
        seen = tmp_path / "seen"
        script = program(tmp_path / "checkov", f"find . -type f > {seen}; env >> {seen}; echo '{{}}'; exit 0")
        given = {
            **environ(script),
            "BC_API_KEY": "k-1",
            "CKV_SKIP_CHECK": "CKV_AWS_1",
            "TF_VAR_gossip": "s-1",
            "AWS_SECRET_ACCESS_KEY": "s-2",
            "PYTHONPATH": "/elsewhere",
        }
        with pytest.raises(ScanError):
            run_checkov({"b": stack(), "a": stack()}, given)
        lines = seen.read_text(encoding="utf-8").splitlines()
        assert sorted(line for line in lines if line.startswith("./")) == [
            "./a/cdk.tf.json",
            "./b/cdk.tf.json",
        ]
        assert not [line for line in lines if "k-1" in line or "s-1" in line or "s-2" in line]
        assert not [line for line in lines if line.startswith(("CKV_", "PYTHONPATH"))]

    @pytest.mark.parametrize("setting", [".checkov.yaml", ".checkov.yml", ".bridgecrew"])
    def test_settings_in_the_users_home_are_not_seen_either(self, tmp_path: Path, setting: str) -> None:
        home = tmp_path / "home"
        (home / setting).mkdir(parents=True)
        seen = tmp_path / "seen"
        script = program(tmp_path / "checkov", f"echo $HOME > {seen}; ls -A $HOME >> {seen}; echo '{{}}'")
        with pytest.raises(ScanError):
            run_checkov({"a": stack()}, {**environ(script), "HOME": str(home)})
        shown, *files = seen.read_text(encoding="utf-8").splitlines()
        assert shown != str(home)
        assert files == []


def _ends(pid: int) -> bool:
    """Whether the process is gone soon; a zombie that nobody waits for counts as gone."""
    for _ in range(600):
        try:
            state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return True
        if state == "Z":
            return True
        time.sleep(0.1)
    return False
