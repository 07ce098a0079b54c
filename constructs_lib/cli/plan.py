"""`clustermesos plan`: what `apply` would change on the platform, and nothing is changed."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from constructs_lib.cli.platform import Cluster, add_options, say


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "plan",
        help="show what apply would change in applications, jobs and settings",
        description="Compares the contracts beside cluster.yaml with what the platform has, and changes "
        "nothing.",
        epilog="Exit codes: 0 fine, 1 failed, 2 wrong input, 3 with --exit-code: something would change.",
    )
    parser.add_argument(
        "--prune", action="store_true", help="also show what no contract names any longer as to be deleted"
    )
    parser.add_argument(
        "--exit-code", action="store_true", help="end with 3 where something would change, for scripts"
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Compare and print."""
    from constructs_lib.hooks.report import diff_lines
    from constructs_lib.hooks.run import Run

    cluster = Cluster.of(args)
    compiled = cluster.compiled()
    with cluster.looked_at() as platform:
        changes = Run.of(platform, compiled, prune=args.prune, say=say).plan()
    document = {"changes": [asdict(change) for change in changes]}
    cluster.answer(document, "\n".join(diff_lines(changes)), as_json=args.json)
    differs = any(change.action != "keep" for change in changes)
    return 3 if args.exit_code and differs else 0
