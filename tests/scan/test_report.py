"""Failed checks against declared exceptions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from constructs_lib.scan.checkov import read_output
from constructs_lib.scan.document import as_json
from constructs_lib.scan.layout import canonical, locate
from constructs_lib.scan.report import Report, Stack, judge
from constructs_lib.scan.sarif import STALE_RULE, as_sarif
from constructs_lib.scan.text import as_text
from constructs_lib.terraform.policy import PolicyException
from tests.scan.cases import CASES, recorded, stack

FAILURES = {
    ("CKV2_AWS_41", "aws_instance.merged"),
    ("CKV2_AWS_41", "aws_instance.none"),
    ("CKV2_AWS_41", "aws_instance.same"),
    ("CKV_AWS_111", "data.aws_iam_policy_document.reading"),
    ("CKV_AWS_126", "aws_instance.same"),
    ("CKV_AWS_21", "aws_s3_bucket.empty"),
    ("CKV_AWS_79", "aws_instance.merged"),
    ("CKV_AWS_79", "aws_launch_template.same"),
}
REASON = "a test needs it so"


def judged(*exceptions: tuple[str, str], skipped: Sequence[str] | None = None) -> Report:
    text = canonical(stack())
    declared = [PolicyException(check, address, REASON) for check, address in exceptions]
    file = Path("cdktf.out/stacks/demo-eu/cdk.tf.json")
    given = Stack("demo-eu", file, stack(), locate(text), declared)
    return judge(read_output(recorded(), {"demo-eu": text}), [given], skipped)


def test_without_exceptions_every_failure_counts() -> None:
    report = judged()
    (only,) = report.stacks
    assert {(result.check, result.address) for result in only.failed} == FAILURES
    assert not report.fine


def test_with_an_exception_for_each_failure_the_scan_is_fine() -> None:
    report = judged(*FAILURES)
    (only,) = report.stacks
    assert report.fine
    assert {(e.result.check, e.result.address) for e in only.excepted} == FAILURES
    assert {e.reason for e in only.excepted} == {REASON}


def test_an_exception_is_for_its_own_resource_only() -> None:
    (only,) = judged(("CKV_AWS_79", "aws_instance.merged")).stacks
    assert ("CKV_AWS_79", "aws_launch_template.same") in {(r.check, r.address) for r in only.failed}


@pytest.mark.parametrize(
    ("check", "address", "why"),
    [
        ("CKV_AWS_79", "aws_instance.gone", "this stack has no such resource"),
        ("CKV_AWS_79", "aws_instance.same", "the check passes"),
        ("CKV_AWS_18", "aws_instance.same", "checkov does not run this check on this resource"),
        ("CKV_AWS_79", 'aws_instance.merged["one"]', "this stack has no such resource"),
    ],
)
def test_an_exception_that_matches_nothing_fails_the_scan_and_says_why(
    check: str, address: str, why: str
) -> None:
    report = judged(*FAILURES, (check, address))
    assert [(s.exception.address, s.why) for s in report.stacks[0].stale] == [(address, why)]
    assert not report.fine


def test_an_exception_for_a_resource_of_count_0_may_wait_for_its_instances() -> None:
    assert judged(*FAILURES, ("CKV_AWS_126", "aws_instance.none")).fine


def test_a_generated_configuration_that_hides_or_still_shows_something_is_told() -> None:
    report = judged(*FAILURES, skipped=["CKV_AWS_126", "CKV_AWS_111"])
    assert report.unseen == ("CKV_AWS_126",)  # It passes for aws_instance.merged.
    assert report.still_failing == ("CKV2_AWS_41", "CKV_AWS_21", "CKV_AWS_79")
    assert "A plain checkov skips CKV_AWS_126," in as_text(report)
    assert "A plain checkov still reports CKV2_AWS_41, CKV_AWS_21, CKV_AWS_79:" in as_text(report)


class TestText:
    def test_it_counts_and_shows_where_each_failure_is(self) -> None:
        text = as_text(judged())
        assert "  4 passed, 8 failed, 0 excepted with a reason\n" in text
        assert 'aws_instance.same ["one"] ["two"]  cdk.tf.json:35\n' in text
        assert text.endswith('or say accept(resource, "CHECK", "reason") beside it.\n')

    def test_it_shows_each_reason(self) -> None:
        text = as_text(judged(*FAILURES))
        assert text.count(f"because {REASON}") == 5
        assert text.endswith("Fine: no check failed without a declared exception.\n")

    def test_it_says_that_phantom_instances_were_left_out(self) -> None:
        assert "Left out: 2 results for instances that only checkov's JSON reader sees" in as_text(judged())

    def test_it_shows_an_exception_that_matches_nothing(self) -> None:
        text = as_text(judged(*FAILURES, ("CKV_AWS_79", "aws_instance.same")))
        assert "MATCHES NOTHING CKV_AWS_79 at aws_instance.same: the check passes" in text
        assert "1 exception matching nothing" in text


def test_json_holds_everything_that_text_does() -> None:
    stale = ("CKV_AWS_79", "aws_instance.same")
    document = json.loads(as_json(judged(("CKV_AWS_79", "aws_instance.merged"), stale)))
    (only,) = document["stacks"]
    assert (document["fine"], document["checkov"], document["phantom_results_left_out"]) == (
        False,
        "3.3.30",
        2,
    )
    assert (len(only["passed"]), len(only["failed"])) == (4, 7)
    assert only["excepted"] == [
        {
            "check": "CKV_AWS_79",
            "title": "Ensure Instance Metadata Service Version 1 is not enabled",
            "address": "aws_instance.merged",
            "instances": [],
            "lines": [48, 56],
            "reason": REASON,
        }
    ]
    assert only["stale"] == [
        {"check": stale[0], "address": stale[1], "reason": REASON, "why": "the check passes"}
    ]


class TestSarif:
    @staticmethod
    def run(*exceptions: tuple[str, str]) -> dict[str, Any]:
        document = json.loads(as_sarif(judged(*exceptions)))
        schema = json.loads((CASES / "sarif-schema-2.1.0.json").read_text(encoding="utf-8"))
        jsonschema.Draft4Validator(schema).validate(document)
        run: dict[str, Any] = document["runs"][0]
        return run

    def test_a_failed_check_is_an_error_at_its_lines(self) -> None:
        results = {r["ruleId"]: r for r in self.run()["results"]}
        assert len(self.run()["results"]) == len(FAILURES)
        bucket = results["CKV_AWS_21"]
        assert bucket["level"] == "error"
        assert "suppressions" not in bucket
        assert bucket["locations"][0]["physicalLocation"] == {
            "artifactLocation": {"uri": "cdktf.out/stacks/demo-eu/cdk.tf.json"},
            "region": {"startLine": 73, "endLine": 73},
        }

    def test_an_accepted_check_is_suppressed_with_its_reason_as_the_justification(self) -> None:
        suppressed = [
            r for r in self.run(("CKV_AWS_21", "aws_s3_bucket.empty"))["results"] if "suppressions" in r
        ]
        assert [(r["ruleId"], r["suppressions"][0]["justification"]) for r in suppressed] == [
            ("CKV_AWS_21", REASON)
        ]

    def test_an_exception_that_matches_nothing_is_an_error_of_its_own_rule(self) -> None:
        results = self.run(*FAILURES, ("CKV_AWS_79", "aws_instance.same"))["results"]
        assert [r["ruleId"] for r in results if "suppressions" not in r] == [STALE_RULE]

    def test_every_result_points_to_its_rule(self) -> None:
        run = self.run(("CKV_AWS_79", "aws_instance.same"))
        rules = run["tool"]["driver"]["rules"]
        assert [rules[r["ruleIndex"]]["id"] for r in run["results"]] == [r["ruleId"] for r in run["results"]]

    def test_fingerprints_are_unique_and_do_not_depend_on_lines(self) -> None:
        prints = [r["partialFingerprints"]["resource/v1"] for r in self.run()["results"]]
        assert len(set(prints)) == len(prints)
        moved = judged()
        object.__setattr__(moved.stacks[0].stack, "lines", {})
        again = json.loads(as_sarif(moved))["runs"][0]["results"]
        assert [r["partialFingerprints"]["resource/v1"] for r in again] == prints
