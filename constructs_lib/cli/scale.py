"""`clustermesos scale`: lets the number of instances follow load, once or again and again."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.platform import Cluster, add_options, say
from constructs_lib.errors import HookError

if TYPE_CHECKING:
    from constructs_lib.contracts.compiled import Compiled, CompiledContract
    from constructs_lib.hooks.scaler import Scaler


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "scale",
        help="let the number of instances follow load",
        description="Measures what each contract with `follow` follows, decides by it how many instances "
        "there should be, says why, and brings that about. The number is kept in Consul: no deployment "
        "resets it. Run it every minute, by cron or a timer.",
        epilog="Exit codes: 0 done, 1 a number could not be brought about, 2 wrong input.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these contracts")
    parser.add_argument("--dry-run", action="store_true", help="say what would be decided; change nothing")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Decide once for each contract; 0 when every number was brought about."""
    from constructs_lib.hooks.deploying import rollout_of
    from constructs_lib.hooks.scaler import Scaler

    cluster = Cluster.of(args)
    contracts = _wanted(cluster.compiled(), args.names)
    with cluster.connected() as platform:
        scaler = Scaler(rollout=rollout_of(platform), sites=platform.prometheuses)
        told = {one.name: _scaled(scaler, one, dry_run=args.dry_run) for one in contracts}
    if args.json:
        print(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        print(
            "\n".join(f"{name}: {one['says']}" for name, one in told.items()) or "no contract follows a load"
        )
    return 0 if all(one["good"] for one in told.values()) else 1


def _scaled(scaler: Scaler, contract: CompiledContract, *, dry_run: bool) -> dict[str, Any]:
    if dry_run:
        decision = scaler.decide(contract)
        return {"good": True, "count": decision.count, "says": decision.why}
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line.removeprefix(f"{contract.name}: "))
        say(line)

    end = scaler.scale(contract, scaler.rollout.marathon.client.deadline, tell)
    return {"good": end is None or end.good, "says": end.why if end else lines[0]}


def _wanted(compiled: Compiled, names: list[str]) -> list[CompiledContract]:
    following = {one.name: one for one in compiled.contracts if one.instances.scaling is not None}
    for name in names:
        if name not in following:
            known = ", ".join(following) or "none"
            raise HookError(f"{name}: no contract of this name has `follow`; there are {known}")
    return [one for name, one in following.items() if name in names or not names]
