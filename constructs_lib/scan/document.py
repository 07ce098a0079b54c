"""The report as one JSON document, for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from constructs_lib.scan.checkov import Result
from constructs_lib.scan.report import Report, StackReport


def as_json(report: Report) -> str:
    """`{fine, checkov, stacks: [{name, file, passed: […], failed: […], excepted: […], stale: […]}], …}`."""
    document = {
        "fine": report.fine,
        "checkov": report.version,
        "phantom_results_left_out": report.phantoms,
        "plain_checkov": {
            "skips_although_it_passes_elsewhere": list(report.unseen),
            "still_fails": list(report.still_failing),
        },
        "stacks": [_stack(stack) for stack in report.stacks],
    }
    return json.dumps(document, indent=2) + "\n"


def _stack(stack: StackReport) -> Mapping[str, Any]:
    return {
        "name": stack.stack.name,
        "file": stack.stack.file.as_posix(),
        "passed": [_result(stack, result) for result in stack.passed],
        "failed": [_result(stack, result) for result in stack.failed],
        "excepted": [
            {**_result(stack, excepted.result), "reason": excepted.reason} for excepted in stack.excepted
        ],
        "stale": [{**vars(stale.exception), "why": stale.why} for stale in stack.stale],
    }


def _result(stack: StackReport, result: Result) -> dict[str, Any]:
    lines = stack.stack.lines.get(result.address)
    return {
        "check": result.check,
        "title": result.title,
        "address": result.address,
        "instances": list(result.instances),
        "lines": [lines.first, lines.last] if lines else None,
    }
