"""Runs the user's checkov over copies of synthesized stacks and reads its JSON.

checkov lives in its own environment (its boto3 is older than ours), so it is a program here, never an import.
It sees copies of cdk.tf.json only: neither the secrets that lie beside a stack, nor a configuration file, nor
an account's key, and it is told to ask nothing of the network.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from constructs_lib.errors import ScanError, ToolError
from constructs_lib.scan.declared import STACK_FILE
from constructs_lib.scan.layout import canonical, locate

PROGRAM_VARIABLE = "CLUSTERMESOS_CHECKOV"
TIME_LIMIT = 600.0
"""Seconds. A site takes 5 to 10, most of it checkov's own start."""

_ARGUMENTS = (
    *("--directory", "."),
    *("--framework", "terraform_json"),
    *("--output", "json"),
    "--compact",
    "--soft-fail",
    "--skip-download",
    *("--download-external-modules", "false"),
)
# Settings and keys that checkov takes from the environment, values of Terraform variables, and the paths of
# this Python, which is not checkov's.
_NOT_PASSED_ON = (
    "BC_",
    "CKV_",
    "CHECKOV_",
    "PRISMA_",
    "TF_VAR_",
    "AWS_",
    "DOWNLOAD_EXTERNAL",
    "EXTERNAL_MODULES",
)
_NEITHER = ("PYTHONPATH", "PYTHONHOME", "LOG_LEVEL", "VIRTUAL_ENV")
_SETTINGS_AT_HOME = (".checkov.yaml", ".checkov.yml", ".bridgecrew")
_PHANTOMS = ("__startline__", "__endline__")


@dataclass(frozen=True)
class Result:
    """What checkov found for one check at one resource.

    `instances` are the keys, as in `["master-1"]`, of those that fail (of all, when it passed), where
    checkov tells instances apart.
    """

    stack: str
    address: str
    check: str
    title: str
    passed: bool
    instances: tuple[str, ...] = ()


@dataclass(frozen=True)
class Run:
    """One run: checkov's version, its results by stack, address and check, and how many it made up.

    `phantoms` counts results for instances that exist only in checkov: its JSON reader adds two to every
    `for_each` over a literal map.
    """

    version: str
    results: tuple[Result, ...]
    phantoms: int = 0


def find_checkov(environ: Mapping[str, str]) -> str:
    """The program that CLUSTERMESOS_CHECKOV names, else the one in PATH; ToolError when there is none."""
    wanted = environ.get(PROGRAM_VARIABLE, "")
    found = shutil.which(wanted or "checkov", path=environ.get("PATH"))
    if found:
        return str(Path(found).absolute())
    if wanted:
        raise ToolError(f"{PROGRAM_VARIABLE}: got {wanted!r}, expected a program that can be run")
    raise ToolError(
        "checkov is not in PATH; install it in an environment of its own, since its boto3 is an older one: "
        "python3 -m venv ~/checkov && ~/checkov/bin/pip install 'checkov>=3.3,<3.4', "
        f"then set {PROGRAM_VARIABLE}=~/checkov/bin/checkov"
    )


def run_checkov(
    stacks: Mapping[str, Mapping[str, Any]], environ: Mapping[str, str], *, time_limit: float = TIME_LIMIT
) -> Run:
    """Check parsed stacks, by name.

    ToolError when checkov is missing, fails or takes longer than `time_limit` seconds; ScanError when what it
    says cannot be understood or it could not read a stack.
    """
    program = find_checkov(environ)
    texts = {name: canonical(stack) for name, stack in sorted(stacks.items())}
    with tempfile.TemporaryDirectory(prefix="clustermesos-scan-") as folder:
        work, home = Path(folder, "stacks"), Path(folder, "home")
        home.mkdir()
        for name, text in texts.items():
            (work / name).mkdir(parents=True)
            (work / name / STACK_FILE).write_text(text, encoding="utf-8")
        work.mkdir(exist_ok=True)
        output = _run([program, *_ARGUMENTS], work, _environment(environ, home), time_limit)
    return read_output(output, texts)


def read_output(output: str, texts: Mapping[str, str]) -> Run:
    """Read checkov's JSON about `texts`, the copies that it was given, by stack name.

    ScanError when it is not the JSON that checkov 3.3 writes, or tells of a file that could not be read.
    """
    with _understood(output):
        document = json.loads(output)
        if "results" not in document:  # Nothing that it has checks for.
            return Run(str(document["checkov_version"]), ())
        unread = document["results"]["parsing_errors"]
        if unread:
            names = ", ".join(sorted(str(Path(file)) for file in unread))
            raise ScanError(f"checkov could not read {names}; does terraform validate take it?")
        records = [
            record for kind in ("passed_checks", "failed_checks") for record in document["results"][kind]
        ]
        return _collect(str(document["summary"]["checkov_version"]), records, texts)


@contextmanager
def _understood(output: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        start = " ".join(output.split())[:200] or "nothing"
        raise ScanError(
            f"checkov's JSON output is not what this version understands ({type(error).__name__}: {error}); "
            f"checkov 3.3 is expected, it starts with: {start}"
        ) from None


def _collect(version: str, records: Sequence[Mapping[str, Any]], texts: Mapping[str, str]) -> Run:
    by_line = {
        name: {lines.first: address for address, lines in locate(text).items()}
        for name, text in texts.items()
    }
    merged: dict[tuple[str, str, str], Result] = {}
    phantoms = 0
    for record in records:
        resource = str(record["resource"])
        if resource.endswith(tuple(f'["{phantom}"]' for phantom in _PHANTOMS)):
            phantoms += 1
            continue
        stack = Path(record["file_path"]).parent.name
        address = by_line[stack].get(record["file_line_range"][0], resource)
        result = Result(
            stack=stack,
            address=address,
            check=str(record["check_id"]),
            title=str(record["check_name"]),
            passed=record["check_result"]["result"] == "PASSED",
            instances=_instances(resource),
        )
        key = (stack, address, result.check)
        merged[key] = _merge(merged[key], result) if key in merged else result
    return Run(version, tuple(merged[key] for key in sorted(merged)), phantoms)


def _instances(resource: str) -> tuple[str, ...]:
    _, bracket, rest = resource.partition("[")
    return (bracket + rest,) if bracket else ()


def _merge(one: Result, other: Result) -> Result:
    """A check fails for a resource when it fails for one of its instances."""
    failed = [result for result in (one, other) if not result.passed] or [one, other]
    instances = tuple(sorted({instance for result in failed for instance in result.instances}))
    return Result(one.stack, one.address, one.check, one.title, failed[0].passed, instances)


def _environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    passed_on = {
        name: value
        for name, value in environ.items()
        if not name.startswith(_NOT_PASSED_ON) and name not in _NEITHER
    }
    users = Path(environ.get("HOME") or "/nonexistent")
    if any((users / name).exists() for name in _SETTINGS_AT_HOME):
        # Only then: a checkov that was installed into the user's home is found by HOME.
        passed_on |= {"HOME": str(home), "PYTHONUSERBASE": str(users / ".local")}
    return passed_on


def _run(command: Sequence[str], folder: Path, environ: Mapping[str, str], time_limit: float) -> str:
    """Its output. It has a process group of its own, since what it starts has to end with it."""
    try:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise ToolError(f"{command[0]} could not be started: {error.strerror}") from None
    with process:
        try:
            output, errors = process.communicate(timeout=time_limit)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise ToolError(f"{command[0]} did not end within {time_limit:g} s and was stopped") from None
            raise
    if process.returncode:
        last = "\n".join((errors.strip() or output.strip()).splitlines()[-5:])
        raise ToolError(f"{command[0]} failed with exit code {process.returncode}:\n{last}")
    return output
