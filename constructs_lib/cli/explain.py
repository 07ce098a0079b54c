"""`clustermesos explain APP`: why it is not served, with arithmetic, and what to try next."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from constructs_lib.cli.platform import Cluster, add_options


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "explain",
        help="tell why an application is not served, agent by agent",
        description="Tells what an application waits for: the first contract of its dependencies that is the "
        "cause, what each agent lacks and by how much, every constraint that fails and the agent's value for "
        "it, the last failure, failing health checks, instances that Consul or an edge leaves out, why a "
        "version was given up or what its deployment waits for, each version that runs beside it, and the "
        "next command to try. Nothing is changed.",
        epilog="Exit codes: 0 it is served as its contract says, 1 it is not, or not yet; 2 wrong input.",
    )
    parser.add_argument("contract", metavar="APP", help="the contract's name")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Explain; 0 where nothing is wrong."""
    from constructs_lib.hooks.explaining import explain_contract
    from constructs_lib.hooks.report import SIMULATOR_NOTE
    from constructs_lib.hooks.restoring import contract_of

    cluster = Cluster.of(args)
    compiled = cluster.compiled_for(args.contract)
    contract_of(compiled, args.contract)
    with cluster.looked_at() as platform:
        found = explain_contract(platform, compiled, args.contract)
        simulator = platform.endpoints.simulator
    if args.json:
        print(json.dumps({"simulator": simulator, **asdict(found)}, indent=2, ensure_ascii=False))
    else:
        if simulator:
            print(SIMULATOR_NOTE)
        print("\n".join(found.lines()))
    return 0 if found.good else 1
