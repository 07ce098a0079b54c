"""`clustermesos check`: every problem in cluster.yaml at once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from constructs_lib.errors import SpecFileError
from constructs_lib.spec.load import load
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.workspace import Workspace


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "check",
        help="report every problem in cluster.yaml",
        description="Report every problem in the files at once, each with its line. Nothing is changed.",
        epilog="Exit codes: 0 all files are fine, 2 at least one is not.",
    )
    parser.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="the files; without any the one that CLUSTERMESOS_FILE names, else cluster.yaml",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Check all files; problems go to stderr, one line for each good file to stdout."""
    files: list[Path] = arguments.files or [Workspace.find().cluster_file]
    code = 0
    for file in files:
        try:
            print(f"{file}: ok ({summary(load(file))})")
        except SpecFileError as error:
            print(error, file=sys.stderr)
            code = error.exit_code
    return code


def summary(spec: ClusterSpec) -> str:
    """`1 site, 3 masters, 1 Consul node, 2 pools`."""
    sites = spec.sites.values()
    return ", ".join(
        (
            _count(len(spec.sites), "site"),
            _count(sum(len(site.masters.existing) or site.masters.count for site in sites), "master"),
            _count(sum(len(site.consul.existing) or site.consul.count for site in sites), "Consul node"),
            _count(sum(len(site.agents) for site in sites), "pool"),
        )
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
