"""What promote, pause and resume share: one contract's deployment, told something and then gone on with."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING

from constructs_lib.cli.platform import Cluster, add_options, say

if TYPE_CHECKING:
    from constructs_lib.hooks.rollout import Rollout

Word = Callable[["Rollout", str], str]
"""Says it to the deployment of a contract; returns the version."""


def declare(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    summary: str,
    *,
    description: str,
    goes_on: bool,
) -> argparse.ArgumentParser:
    """A command that takes the name of a contract."""
    ends = "Exit codes: 0 it was said, and the deployment succeeded or waits; 1 it did not; 2 wrong input."
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=description, epilog=ends
    )
    parser.add_argument("name", metavar="NAME", help="the contract's name")
    if goes_on:
        parser.add_argument(
            "--only-say", action="store_true", help="do not go on with the deployment: some apply does"
        )
    add_options(parser)
    return parser


def tell(args: argparse.Namespace, word: Word, *, goes_on: bool) -> int:
    """Say it, go on with the deployment where that is wanted, and tell how it is."""
    from constructs_lib.hooks.deploying import rollout_of
    from constructs_lib.hooks.patience import BEGIN_SECONDS
    from constructs_lib.hooks.restoring import contract_of

    cluster = Cluster.of(args)
    compiled = cluster.compiled_for(args.name)
    contract = contract_of(compiled, args.name)
    with cluster.connected() as platform:
        rollout = rollout_of(platform, compiled)
        with platform.patience.within(BEGIN_SECONDS):
            if goes_on:
                # First, so that nothing is said to a deployment that then is not gone on with.
                rollout.apart.refuse(contract.name)
            version = word(rollout, contract.name)
        good, why = True, f"version {version}: said"
        if goes_on and not args.only_say:
            end = rollout.deploy(contract, platform.deadline, say)
            good, why = end.good, end.why
    answer = {"contract": contract.name, "version": version, "good": good, "says": why}
    cluster.answer(answer, f"{contract.name}: {why}", as_json=args.json)
    return 0 if good else 1
