"""`clustermesos pause`: halt a contract's deployment where it is."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.deployment import declare, tell

if TYPE_CHECKING:
    from constructs_lib.hooks.rollout import Rollout


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = declare(
        commands,
        "pause",
        "halt a contract's deployment where it is",
        description="Halts the deployment of a contract where it is, whichever process carries it out: "
        "nothing is started, moved or ended until it is resumed.",
        goes_on=False,
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Say it."""
    return tell(args, _say, goes_on=False)


def _say(rollout: Rollout, name: str) -> str:
    from constructs_lib.hooks import by_hand

    return by_hand.pause(rollout.documents, name)
