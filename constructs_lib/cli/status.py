"""`clustermesos status`: is the platform ready, and are its applications as their contracts say?"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from constructs_lib.cli.platform import Cluster, add_options


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "status",
        help="tell whether the platform is ready",
        description="Asks ZooKeeper, Mesos, Marathon, Chronos, each site's Consul and the registry, once and "
        "at the same time. Nothing is changed.",
        epilog="Exit codes: 0 all is ready, 1 something is not or can't be reached, 2 wrong input.",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask and print; 0 when all is ready."""
    from constructs_lib.hooks.report import SIMULATOR_NOTE, table

    cluster = Cluster.of(args)
    with cluster.connected() as platform:
        findings = platform.look()
        simulator = platform.endpoints.simulator
    good = all(one.good for one in findings)
    if args.json:
        answer = {"good": good, "simulator": simulator, "checks": [asdict(one) for one in findings]}
        print(json.dumps(answer, indent=2, ensure_ascii=False))
        return 0 if good else 1
    if simulator:
        print(SIMULATOR_NOTE)
    print("\n".join(table([("ok" if one.good else "NOT", one.check, one.says) for one in findings])))
    for one in findings:
        if not one.good and one.try_next:
            print(f"{one.check}: try: {one.try_next}")
    return 0 if good else 1
