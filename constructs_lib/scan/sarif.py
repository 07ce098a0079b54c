"""The report as SARIF 2.1.0, which code-scanning pages read.

Failed checks are results; accepted ones are results with a suppression, whose justification is the declared
reason; an exception that matches nothing is a result of a rule of its own. Passed checks are only counted:
pages that don't know `kind: pass` would show them as findings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from urllib.parse import quote

from constructs_lib.scan.checkov import Result
from constructs_lib.scan.report import Report, StackReport, Stale

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
STALE_RULE = "exception-matches-nothing"


def as_sarif(report: Report) -> str:
    """One run with all stacks, in a stable order."""
    results = [result for stack in report.stacks for result in _results(stack)]
    rules = _rules(report)
    index = {rule["id"]: number for number, rule in enumerate(rules)}
    for result in results:
        result["ruleIndex"] = index[result["ruleId"]]
    run = {
        "tool": {
            "driver": {"name": "clustermesos scan", "version": _version(), "rules": rules},
            "extensions": [{"name": "checkov", "version": report.version}],
        },
        "results": results,
        "columnKind": "unicodeCodePoints",
        "properties": {"passed": sum(len(stack.passed) for stack in report.stacks)},
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _version() -> str:
    try:
        return version("clustermesos")
    except PackageNotFoundError:  # Run from a clone that is not installed.
        return "0"


def _rules(report: Report) -> list[dict[str, Any]]:
    titles = {
        result.check: result.title
        for stack in report.stacks
        for result in (*stack.failed, *(excepted.result for excepted in stack.excepted))
    }
    if any(stack.stale for stack in report.stacks):
        titles[STALE_RULE] = "An exception to a policy check matches no failed check"
    return [{"id": check, "shortDescription": {"text": title}} for check, title in sorted(titles.items())]


def _results(stack: StackReport) -> Iterator[dict[str, Any]]:
    for result in stack.failed:
        yield _result(stack, result)
    for excepted in stack.excepted:
        suppression = {"kind": "external", "status": "accepted", "justification": excepted.reason}
        yield {**_result(stack, excepted.result), "suppressions": [suppression]}
    for stale in stack.stale:
        yield _stale(stack, stale)


def _result(stack: StackReport, result: Result) -> dict[str, Any]:
    instances = f" ({', '.join(result.instances)})" if result.instances else ""
    return {
        "ruleId": result.check,
        "level": "error",
        "message": {"text": f"{result.address}{instances}: {result.title}"},
        "locations": [_location(stack, result.address)],
        "partialFingerprints": {"resource/v1": _fingerprint(stack, result.check, result.address)},
    }


def _stale(stack: StackReport, stale: Stale) -> dict[str, Any]:
    exception = stale.exception
    text = f"{exception.check} is accepted for {exception.address}, but {stale.why}: take the exception out"
    return {
        "ruleId": STALE_RULE,
        "level": "error",
        "message": {"text": text},
        "locations": [_location(stack, exception.address)],
        "partialFingerprints": {"resource/v1": _fingerprint(stack, exception.check, exception.address)},
    }


def _location(stack: StackReport, address: str) -> dict[str, Any]:
    # SARIF wants relative references with "/", and a line in every region.
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(stack)}}
    lines = stack.stack.lines.get(address)
    place["region"] = {"startLine": lines.first, "endLine": lines.last} if lines else {"startLine": 1}
    name = f"{stack.stack.name}/{address}"
    return {"physicalLocation": place, "logicalLocations": [{"fullyQualifiedName": name, "kind": "resource"}]}


def _uri(stack: StackReport) -> str:
    file = stack.stack.file
    return file.as_uri() if file.is_absolute() else quote(file.as_posix())


def _fingerprint(stack: StackReport, check: str, address: str) -> str:
    """The same finding in a later run, wherever its lines have moved."""
    return sha256("\0".join((stack.stack.name, check, address)).encode()).hexdigest()[:32]
