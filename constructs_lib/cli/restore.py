"""`clustermesos restore APP`: puts a backup back."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.platform import Cluster, add_options, say
from constructs_lib.errors import HookError

if TYPE_CHECKING:
    from constructs_lib.contracts.compiled import CompiledContract


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "restore",
        help="put a backup of an application's data back",
        description="Asks an agent whether there is such a snapshot, stops the application where its volume "
        "is restored, restores the snapshot beside what is there, compares it with what was saved, puts it "
        "in its place, starts the application again, and loads a dump where the contract says how. What "
        "stops in the middle is undone by the next run. Until the data is known to be whole, apply, scale, "
        "rollback, promote and resume leave the application alone.",
        epilog="Exit codes: 0 restored, 1 not restored, 2 wrong input.",
    )
    parser.add_argument("contract", metavar="APP", help="the contract's name")
    parser.add_argument(
        "--snapshot", type=snapshot, default="latest", metavar="ID", help="restic's id (default: latest)"
    )
    parser.add_argument("--node", metavar="ADDRESS", help="the agent, where several have data of their own")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--force-unlock",
        action="store_true",
        help="restore nothing: let apply and the others start the application again although its last "
        "restore did not end, because you know its data to be whole",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def snapshot(text: str) -> str:
    """The type of --snapshot: an id of restic's, or its beginning."""
    if not re.fullmatch(r"latest|[0-9a-f]{1,64}", text):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected latest, or an id such as 1a2b3c4d")
    return text


def run(args: argparse.Namespace) -> int:
    """Restore; 0 when it is back."""
    from constructs_lib.hooks.restoring import contract_of, restore

    cluster = Cluster.of(args)
    compiled = cluster.compiled_for(args.contract)
    contract = contract_of(compiled, args.contract)
    if args.force_unlock:
        return _unlock(cluster, contract, args)
    if not args.yes and not _confirmed(f"Replace {args.contract}'s data by the snapshot {args.snapshot}?"):
        raise HookError("not confirmed; nothing was changed (--yes where nobody can be asked)")
    with cluster.connected() as platform:
        done = restore(platform, compiled, args.contract, snapshot=args.snapshot, node=args.node, say=say)
    answer = {"good": True, "restored": args.contract, "snapshot": args.snapshot, "says": done}
    cluster.answer(answer, done, as_json=args.json)
    return 0


def _unlock(cluster: Cluster, contract: CompiledContract, args: argparse.Namespace) -> int:
    from constructs_lib.hooks.patience import BEGIN_SECONDS
    from constructs_lib.hooks.restoring import unlock_after_restore

    name = contract.name
    if not args.yes and not _confirmed(f"Is {name}'s data whole, so that it may be started?"):
        raise HookError("not confirmed; nothing was changed (--yes where nobody can be asked)")
    with cluster.connected() as platform, platform.patience.within(BEGIN_SECONDS):
        found = unlock_after_restore(platform, contract, say)
    whose = f"the restore that {found.holder.who}, began at {found.holder.since}"
    done = f"{name}: {whose} no longer keeps others away; next: clustermesos apply"
    cluster.answer({"good": True, "unlocked": name, "says": done}, done, as_json=args.json)
    return 0


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        return False
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
