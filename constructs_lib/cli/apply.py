"""`clustermesos apply`: waits for the platform, and makes its applications what their contracts say."""

from __future__ import annotations

import argparse
import json
import os
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.output import coloured, print_json
from constructs_lib.cli.platform import Cluster, add_options, say, seconds
from constructs_lib.errors import HookError, SecretsError

if TYPE_CHECKING:
    from constructs_lib.hooks.report import Report
    from constructs_lib.spec.workspace import Workspace

LAST_RUN = "last-apply.json"
"""The report of the last run, in the cluster's private folder."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "apply",
        help="make applications, backup jobs and settings what the contracts say",
        description="Waits until the platform is ready, shows what differs, deploys applications in the "
        "order of their dependencies by the strategies of their contracts, makes backup jobs and settings, "
        "asks routed applications through the edges, and reports. What stops in the middle is gone on with "
        "by the same command.",
        epilog="Exit codes: 0 everything is as the contracts say, 1 something is not, 2 wrong input.",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="delete what carries this cluster's label and no contract names any longer",
    )
    parser.add_argument(
        "--gate-timeout",
        type=seconds,
        default=900.0,
        metavar="SECONDS",
        help="how long the platform may take to be ready (default: %(default).0f)",
    )
    parser.add_argument(
        "--retry", action="store_true", help="try versions again whose deployment turned round before"
    )
    parser.add_argument(
        "--degraded",
        action="store_true",
        help="for an urgent change: go on with one agent of each pool, one edge of each site and quorums, "
        "where the registry refuses the password that is here, and without Chronos, whose jobs are left as "
        "they are",
    )
    parser.add_argument("--deployed", action="store_true", help=argparse.SUPPRESS)
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Apply and report; 0 when everything is as the contracts say."""
    from constructs_lib.hooks.run import Run

    cluster = Cluster.of(args)
    compiled = cluster.compiled()
    if args.deployed:
        save_outputs(cluster)
    with cluster.connected() as platform:
        made = Run.of(
            platform,
            compiled,
            prune=args.prune,
            forgive=args.retry,
            say=say,
            gate_seconds=args.gate_timeout,
            degraded=args.degraded,
        )
        report = made.apply()
    try:
        if args.json:
            print_json(report.plain())
        else:
            print(coloured("\n".join(report.lines())), flush=True)
    finally:
        keep(report, cluster.workspace)
    return 0 if report.good else 1


def keep(report: Report, workspace: Workspace) -> None:
    """Write the report beside the outputs, for whoever comes later; a full disk is told and fails nothing."""
    text = json.dumps(report.plain(), indent=2, ensure_ascii=False) + "\n"
    try:
        path = workspace.make_private() / LAST_RUN
        path.write_text(text, encoding="utf-8")
        path.chmod(0o600)
    except (OSError, SecretsError) as error:
        say(f"the report is not kept in {LAST_RUN}: {getattr(error, 'strerror', None) or error}")


def save_outputs(cluster: Cluster) -> None:
    """Keep what the last stack says that the sites deployed; HookError where it is something else."""
    from constructs_lib.access.deployed import read_outputs, save
    from constructs_lib.sites.last_stack import OUTPUTS_VARIABLE

    text = os.environ.get(OUTPUTS_VARIABLE, "")
    try:
        found = json.loads(text)
        sites = [read_outputs({"cluster": one}, stack=site) for site, one in found.items()]
    except (ValueError, AttributeError):
        raise HookError(
            f"{OUTPUTS_VARIABLE}: is not what the last stack puts there; --deployed is for it alone"
        ) from None
    cluster.workspace.make_private()
    for site in sites:
        if site is not None:
            save(site, cluster.workspace.outputs_folder)
