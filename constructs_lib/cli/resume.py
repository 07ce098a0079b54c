"""`clustermesos resume`: go on with a deployment that was paused."""

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
        "resume",
        "go on with a deployment that was paused",
        description="Goes on with the deployment of a contract that was paused.",
        goes_on=True,
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Say it, and go on."""
    return tell(args, _say, goes_on=True)


def _say(rollout: Rollout, name: str) -> str:
    from constructs_lib.hooks import by_hand

    return by_hand.resume(rollout.documents, name, rollout.now())
