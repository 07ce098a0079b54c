"""`clustermesos check`: every problem in cluster.yaml and its contracts at once."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from constructs_lib.cli.output import json_option
from constructs_lib.cli.quota import quota_rows
from constructs_lib.cli.show import table
from constructs_lib.contracts.check import unkept
from constructs_lib.contracts.load import read_contracts
from constructs_lib.errors import Problem, SpecError, SpecFileError
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.sites.aws_rules import rules
from constructs_lib.sites.openstack_quota import quota
from constructs_lib.spec.load import load
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.workspace import Workspace


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "check",
        help="report every problem in cluster.yaml and contracts",
        description="Report every problem in the files, and in the contracts beside them, at once, each with "
        "its line: what is wrong by itself, and what the cluster can't keep. Says what a site on OpenStack "
        "needs of its project's quota. Nothing is changed.",
        epilog="Exit codes: 0 all files are fine, 2 at least one is not.",
    )
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="the files; without any the one that CLUSTERMESOS_FILE names, else cluster.yaml",
    )
    parser.add_argument(
        "--contracts",
        type=Path,
        metavar="FOLDER",
        help="the folder of contracts; the default is contracts/ beside each file",
    )
    json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check all files; problems go to stderr, one line for each good file or folder to stdout."""
    files: list[Path] = arguments.files or [Workspace.find().cluster_file]
    checked = [each for file in files for each in _check(file, arguments.contracts)]
    code = 0 if all(each["ok"] for each in checked) else SpecError.exit_code
    if arguments.json:
        print(json.dumps({"ok": code == 0, "checked": checked}, indent=2, ensure_ascii=False))
        return code
    for each in checked:
        if each["ok"]:
            print(f"{each['file']}: ok ({each['summary']})")
        for problem in each["problems"]:
            print(Problem(**problem), file=sys.stderr)
    for each in checked:
        for line in _tables(each.get("quota", {})):
            print(line)
    return code


def _check(file: Path, folder: Path | None) -> list[dict[str, Any]]:
    """One row for the file, and one for its contracts where there are any."""
    folder = folder or Workspace(file).contracts_folder
    read = read_contracts(folder)
    problems, found = list(read.problems), len(read.contracts)
    try:
        spec = load(file)
    except SpecFileError as error:
        rows = [_row(file, "", error.problems)]
    else:
        rows = [_row(file, summary(spec), ())]
        try:
            if found or any(site.openstack or site.aws for site in spec.sites.values()):
                planned = plan(spec)
                _count_rules(planned)
                problems += unkept(read.contracts, planned) if found else ()
                rows[0] |= _quotas(planned)
        except SpecError as error:
            rows = [_row(file, "", [Problem(file=str(file), line=0, path="", message=str(error))])]
    if problems or found:
        rows.append(_row(folder, _count(found, "contract"), problems))
    return rows


def _count_rules(planned: ClusterPlan) -> None:
    """SpecError for a site on AWS with more rules than one of its groups takes."""
    for site in planned.sites.values():
        if site.aws:
            rules(site, site.roles)


def _quotas(planned: ClusterPlan) -> dict[str, Any]:
    """Site → what it needs of its quota, for those that have one. Nothing of the lock is counted."""
    needed = {name: quota(site) for name, site in planned.sites.items()}
    return {"quota": {name: counted for name, counted in needed.items() if counted}}


def _tables(quotas: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for site, needed in quotas.items():
        yield ""
        yield from table((f"QUOTA {site}", "NEEDED"), quota_rows(needed))


def _row(file: Path, words: str, problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "file": str(file),
        "ok": not problems,
        "summary": words,
        "problems": [dataclasses.asdict(problem) for problem in problems],
    }


def summary(spec: ClusterSpec) -> str:
    """`1 site, 3 masters, 1 Consul node, 2 pools`."""
    sites, home = spec.sites.values(), spec.sites[spec.home]
    return ", ".join(
        (
            _count(len(spec.sites), "site"),
            _count(len(home.masters.existing) or home.masters.count, "master"),
            _count(sum(len(site.consul.existing) or site.consul.count for site in sites), "Consul node"),
            _count(sum(len(site.agents) for site in sites), "pool"),
        )
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
