"""`clustermesos backups`: the jobs that save, prove and forget, and how each ended last."""

from __future__ import annotations

import argparse
from typing import Any

from constructs_lib.cli.platform import Cluster, add_options


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "backups",
        help="list backup jobs and how they ended last",
        description="Lists the jobs that back applications up, test that they can be restored, forget old "
        "snapshots and check repositories, with their last success and failures since. A backup that no "
        "restore test has proved is marked with ?, one whose restore test failed last with NOT. Nothing is "
        "changed.",
        epilog="Exit codes: 0 none failed last, 1 one did, or is missing; 2 wrong input.",
    )
    parser.add_argument("contract", metavar="APP", nargs="?", help="of this contract, or this job, alone")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List them."""
    from constructs_lib.hooks.jobs import Jobs
    from constructs_lib.hooks.report import table
    from constructs_lib.hooks.restoring import contract_of

    cluster = Cluster.of(args)
    compiled = cluster.compiled()
    if args.contract:
        contract_of(compiled, args.contract.partition(".")[0])
    with cluster.connected() as platform:
        hook = Jobs(platform.chronos, compiled)
        found = [one for one in hook.verify(hook.read()) if _meant(one.name, args.contract)]
    good = all(one.good for one in found)
    rows = [{"job": one.name, "good": one.good, "sure": one.sure, "says": one.says} for one in found]
    text = "\n".join(table([(one.mark, one.name, one.says) for one in found])) or "no backups"
    cluster.answer({"good": good, "jobs": rows}, text, as_json=args.json)
    return 0 if good else 1


def _meant(job: str, wanted: str | None) -> bool:
    return wanted is None or job == wanted or job.startswith(f"{wanted}.")
