"""`clustermesos rollback APP`: back to the version that was good before."""

from __future__ import annotations

import argparse
import getpass
from typing import Any

from constructs_lib.cli.output import print_json
from constructs_lib.cli.platform import Cluster, add_options, say
from constructs_lib.errors import HookError


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "rollback",
        help="go back to the version of an application that was good before",
        description="Deploys the newest version but this one that was found good, by the contract's strategy "
        "and without building anything. The version that is left is not deployed again by itself: change the "
        "contract, or clustermesos apply --retry.",
        epilog="Exit codes: 0 the former version runs, 1 it does not, 2 wrong input.",
    )
    parser.add_argument("contract", metavar="APP", help="the contract's name")
    parser.add_argument("--to", metavar="VERSION", help="this version, of those that were good before")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Go back; 0 when the former version runs."""
    from constructs_lib.hooks import by_hand
    from constructs_lib.hooks.deploying import rollout_of
    from constructs_lib.hooks.restoring import contract_of
    from constructs_lib.hooks.versions import former

    cluster = Cluster.of(args)
    compiled = cluster.compiled()
    contract = contract_of(compiled, args.contract)
    with cluster.connected() as platform:
        if not platform.consuls:
            raise HookError(
                "rollback: former versions are kept in Consul, and there is none here; a simulator "
                "registers at a real one with clustermesos simulate --consul URL"
            )
        rollout = rollout_of(platform)
        running = rollout.documents.of(contract.name).progress.version
        back = former(rollout.store, contract, running, args.to)
        if running is not None:
            by_hand.refuse(rollout.documents, contract.name, running, f"rolled back by {getpass.getuser()}")
        end = rollout.deploy(back, platform.deadline, say)
    answer = {"contract": contract.name, "from": running, "to": back.app.version, "good": end.good}
    if args.json:
        print_json(answer)
    else:
        print(f"{contract.name}: {running} → {back.app.version}: {end.why}")
    return 0 if end.good else 1
