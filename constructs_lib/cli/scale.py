"""`clustermesos scale`: lets the number of instances follow load, once or again and again."""

from __future__ import annotations

import argparse
import json
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.platform import CHECK, Cluster, add_options, say
from constructs_lib.errors import ClusterMesosError, HookError, UnknownNameError

if TYPE_CHECKING:
    from constructs_lib.contracts.compiled import Compiled, CompiledContract
    from constructs_lib.hooks.scaling_rounds import Rounds, Scaled

_SHORTEST, _LONGEST = 10, 3600


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "scale",
        help="let the number of instances follow load",
        description="Measures what each contract with `follow` follows (cpu and memory by the Mesos agents, "
        "anything else by PromQL), decides by it how many instances there should be, says why, and brings "
        "that about. The number is kept in Consul: no deployment resets it. One process at a time does it.",
        epilog="Exit codes: 0 done, 1 a number could not be brought about or somebody else scales, 2 wrong "
        "input. With --every it goes on after whatever fails, and ends with 0 at SIGTERM or Ctrl-C.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these contracts")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--dry-run", action="store_true", help="say what would be decided; change nothing")
    how.add_argument(
        "--every",
        type=_period,
        metavar="SECONDS",
        help=f"go on, a round every so many seconds ({_SHORTEST} to {_LONGEST}), with one line for each "
        "change; --timeout is for one round then",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Decide once for each contract, or until a signal; 0 when every number was brought about."""
    from constructs_lib.hooks.lease import Lease
    from constructs_lib.hooks.scaling_rounds import Rounds

    if args.every:
        return _keep_on(args, Rounds(lease=Lease("scale", seconds=2 * args.every + 20)))
    cluster = Cluster.of(args)
    contracts = _wanted(cluster.compiled_for(*args.names), args.names)
    rounds = Rounds(lease=Lease("scale", seconds=60))
    with cluster.looked_at() if args.dry_run else cluster.connected() as platform:
        if args.dry_run:
            told: Mapping[str, Scaled] | str = rounds.preview(platform, contracts)
        else:
            try:
                told = rounds.once(platform, contracts, say)
            finally:
                rounds.end(platform)
    if isinstance(told, str):
        raise HookError(f"nothing was done: {told} scales; end that one, or leave it to it")
    text = "\n".join(f"{name}: {one.says}" for name, one in told.items()) or "no contract follows a load"
    document = {"contracts": {name: asdict(one) for name, one in told.items()}}
    cluster.answer(document, text, as_json=args.json)
    return 0 if all(one.good for one in told.values()) else 1


def _keep_on(args: argparse.Namespace, rounds: Rounds) -> int:
    # What is wrong with the input ends it at once; later it may be in the middle of a change.
    contracts = _wanted(Cluster.of(args).compiled_but(args.names)[0], args.names)
    say(f"scales {', '.join(one.name for one in contracts) or 'nothing yet'} every {args.every} seconds")
    seen = _Seen()
    with _interrupted_by_sigterm():
        try:
            while True:
                began = time.monotonic()
                _round(args, rounds, seen)
                time.sleep(max(0.0, args.every - (time.monotonic() - began)))
        except KeyboardInterrupt:
            say("ended; the numbers stay as they are")
    return 0


def _round(args: argparse.Namespace, rounds: Rounds, seen: _Seen) -> None:
    from constructs_lib.hooks.patience import BEGIN_SECONDS, Patience

    try:
        cluster = Cluster.of(args)
        compiled, left_out = cluster.compiled_but(args.names)
        seen.trouble("contracts", left_out and f"contracts: {left_out} ({CHECK} lists all)")
        contracts = _wanted(compiled, args.names)
        # Each trouble is told once, and the next round comes soon.
        with cluster.connected(Patience(BEGIN_SECONDS)) as platform:
            try:
                told = rounds.once(platform, contracts, lambda _line: None)
            except KeyboardInterrupt:
                rounds.end(platform)
                raise
    except ClusterMesosError as error:
        seen.trouble("", str(error))
        return
    if isinstance(told, str):
        seen.trouble("", f"{told} scales; waits for it to end")
        return
    seen.trouble("", "")
    for name, one in told.items():
        if one.changed:
            _print_change(cluster, name, one, as_json=args.json)
        seen.trouble(name, "" if one.good and one.count is not None else f"{name}: {one.says}")


class _Seen:
    """Troubles that were told: each is told once, until it is another one or has gone."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def trouble(self, about: str, text: str) -> None:
        # Numbers in it change with every look, and are no news.
        kind = re.sub(r"\d+(\.\d+)?", "#", text)
        if kind != self._told.get(about, ""):
            say(text or (f"{about}: goes on" if about else "goes on"))
        self._told[about] = kind


def _print_change(cluster: Cluster, name: str, one: Scaled, *, as_json: bool) -> None:
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    document = {"at": at, "simulator": cluster.simulator is not None, "contract": name, **asdict(one)}
    line = json.dumps(document, ensure_ascii=False)
    whose = "SIMULATOR " if cluster.simulator else ""
    print(line if as_json else f"{at} {whose}{name}: {one.says}", flush=True)


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    def interrupt(_number: int, _frame: object) -> None:
        # Only the first: what it ends is not to be cut short by the second.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _wanted(compiled: Compiled, names: list[str]) -> list[CompiledContract]:
    following = {one.name: one for one in compiled.contracts if one.instances.scaling is not None}
    for name in names:
        if name not in following:
            raise UnknownNameError("contract with `follow`", name, following)
    return [one for name, one in following.items() if name in names or not names]


def _period(text: str) -> int:
    number = text.removesuffix("s")
    if not number.isdecimal() or not _SHORTEST <= int(number) <= _LONGEST:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected seconds, {_SHORTEST} to {_LONGEST}, such as 60"
        )
    return int(number)
