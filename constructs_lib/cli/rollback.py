"""`clustermesos rollback APP`: back to the version that was good before."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.platform import Cluster, add_options, say
from constructs_lib.errors import HookError

if TYPE_CHECKING:
    from constructs_lib.contracts.compiled import CompiledContract
    from constructs_lib.hooks.platform import Platform
    from constructs_lib.hooks.rollout import Rollout


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "rollback",
        help="go back to the version of an application that was good before",
        description="Deploys the newest version but this one that was found good, by the contract's strategy "
        "(rolling in place of a canary) and without building anything. The version that is left is not "
        "deployed again by itself: change the contract, or clustermesos apply --retry.",
        epilog="Exit codes: 0 the former version runs, 1 it does not, 2 wrong input.",
    )
    parser.add_argument("contract", metavar="APP", help="the contract's name")
    parser.add_argument("--to", metavar="VERSION", help="this version, of those that were good before")
    parser.add_argument(
        "--force",
        action="store_true",
        help="with --to: also a version that never was good, as long as Marathon still has it",
    )
    add_options(parser)
    parser.set_defaults(run=run, wrong=parser.error)


def run(args: argparse.Namespace) -> int:
    """Go back; 0 when the former version runs."""
    from constructs_lib.access.person import person
    from constructs_lib.hooks import by_hand
    from constructs_lib.hooks.deploying import rollout_of
    from constructs_lib.hooks.patience import BEGIN_SECONDS
    from constructs_lib.hooks.restoring import contract_of

    if args.force and not args.to:
        args.wrong("--force needs --to VERSION: which version is to run although it never was good")
    cluster = Cluster.of(args)
    compiled = cluster.compiled_for(args.contract)
    contract = contract_of(compiled, args.contract)
    with cluster.connected() as platform:
        if not platform.consuls:
            raise HookError(
                "rollback: former versions are kept in Consul, and there is none here; a simulator "
                "registers at a real one with clustermesos simulate --consul URL"
            )
        # What somebody forces is tried although it turned round before.
        rollout = rollout_of(platform, compiled, forgive=args.force)
        with platform.patience.within(BEGIN_SECONDS):
            # First, so that nothing is held against a version where nobody could go back.
            platform.marathon.below(f"/{contract.name}")
            rollout.apart.refuse(contract.name)
            progress = rollout.documents.of(contract.name).progress
            running = progress.version
            refused = {} if args.force else progress.refused
            back = _chosen(args, platform, rollout, contract, running, refused)
            if running not in (None, back.app.version):
                by_hand.refuse(rollout.documents, contract.name, running, f"rolled back by {person()}")
        end = rollout.deploy(back, platform.deadline, say)
    answer = {"contract": contract.name, "from": running, "to": back.app.version, "good": end.good}
    text = f"{contract.name}: {running} → {back.app.version}: {end.why}"
    cluster.answer(answer, text, as_json=args.json)
    return 0 if end.good else 1


def _chosen(
    args: argparse.Namespace,
    platform: Platform,
    rollout: Rollout,
    contract: CompiledContract,
    running: str | None,
    refused: Mapping[str, str],
) -> CompiledContract:
    from constructs_lib.hooks.ours import by_contract
    from constructs_lib.hooks.versions import forced, former, stored, under_way

    if args.force and args.to not in stored(rollout.store, contract.name):
        there = by_contract(platform.marathon.apps(), contract.cluster)
        return forced(there.get(contract.name, {}), contract, args.to)
    begun = under_way(rollout.store, contract, rollout.documents.of(contract.name).progress)
    return former(rollout.store, contract, running, args.to or begun, refused)
