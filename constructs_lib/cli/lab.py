"""`clustermesos lab`: a cluster.yaml as machines on this computer, booted from what a deploy would send."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.output import json_option, only_answer, print_json
from constructs_lib.errors import LabError
from constructs_lib.spec.workspace import Workspace

if TYPE_CHECKING:
    from constructs_lib.lab.cluster import Lab
    from constructs_lib.lab.keeper import KeptLab
    from constructs_lib.lab.state import State

BOOT_SECONDS = 600
"""A machine with the whole platform takes 20 s of CPU; this is for many of them on a slow computer."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command and its own commands."""
    parser = commands.add_parser(
        "lab",
        help="boot the cluster's nodes as machines on this computer (as root)",
        description="Boots the nodes of a cluster.yaml on this computer as systemd-nspawn machines: same "
        "node files and addresses, a network of their own that leads nowhere. Nothing outlives its end.",
        epilog="Exit codes: 0 fine, 1 failed, or a node is not healthy, 2 wrong input; of `lab exec` that of "
        "its command.",
    )
    parser.add_argument(
        "--file", type=Path, help="cluster.yaml (default: $CLUSTERMESOS_FILE or ./cluster.yaml)"
    )
    own = parser.add_subparsers(metavar="up|status|exec|logs|down", required=True)
    up = own.add_parser("up", help="start it, and wait until every node is healthy")
    up.add_argument("--site", metavar="NAME", help="where cluster.yaml has more than one")
    up.add_argument(
        "--agents",
        metavar="POOL=N",
        action="append",
        type=_agents,
        help="how many agents of a pool (default: its count or min); may be given again",
    )
    up.add_argument(
        "--timeout",
        type=_seconds,
        default=BOOT_SECONDS,
        metavar="SECONDS",
        help="how long the boot may take (default: %(default)s)",
    )
    json_option(up)
    up.set_defaults(run=_up)
    status = own.add_parser("status", help="how each node is; exit code 1 unless all are healthy")
    json_option(status)
    status.set_defaults(run=_status)
    execute = own.add_parser("exec", help="run a command on a node as root: exec master-1 -- ip address")
    execute.add_argument("node", metavar="NODE")
    execute.add_argument("words", nargs="+", metavar="COMMAND")
    execute.add_argument("--timeout", type=_seconds, default=300, metavar="SECONDS", help="(default: 300)")
    json_option(execute)
    execute.set_defaults(run=_exec)
    logs = own.add_parser("logs", help="write every node's journal and boot output to a folder")
    json_option(logs)
    logs.set_defaults(run=_logs)
    down = own.add_parser("down", help="end it; nothing is left")
    json_option(down)
    down.set_defaults(run=_down)


def _up(args: argparse.Namespace) -> int:
    with only_answer(args.json):
        lab = _booted(args)
    if args.json:
        print_json(_plain(lab.states()))
    return 0


def _plain(states: Sequence[State]) -> list[dict[str, Any]]:
    return [asdict(state) | {"state": state.word} for state in states]


def _booted(args: argparse.Namespace) -> KeptLab:
    from constructs_lib.lab.image import image
    from constructs_lib.lab.keeper import connect, launch, refuse_unable
    from constructs_lib.lab.overrides import read_overrides
    from constructs_lib.simulator.programs import programs
    from constructs_lib.spec.load import load

    refuse_unable()
    workspace = _workspace(args)
    overrides, spec = read_overrides(), load(workspace.cluster_file)
    agents = dict(args.agents) if args.agents else None
    built = image(print)
    launch(workspace, built, site=args.site, agents=agents)
    lab = connect(workspace)
    bent = [*overrides.lines(), *overrides.left_out(spec)]
    for line in [*bent, *(program.line for program in programs())]:
        print(f"in a lab  {line}")
    print(f"starting {len(lab.names())} machines", flush=True)
    lab.start()
    try:
        _watch(lab, args.timeout)
    except LabError as error:
        raise LabError(
            f"{error}\nThe lab still runs: clustermesos lab exec looks, lab down ends it"
        ) from None
    return lab


def _watch(lab: Lab, seconds: float) -> None:
    """Wait until all are healthy, and name each as it is."""
    began, waiting = time.monotonic(), lab.names()
    while waiting:
        left = began + seconds - time.monotonic()
        healthy = [state.name for state in lab.states() if state.healthy and state.name in waiting]
        for name in healthy:
            print(f"{time.monotonic() - began:5.0f} s  {name} is healthy", flush=True)
        waiting = [name for name in waiting if name not in healthy]
        if waiting and (left < 0 or any(state.broken for state in lab.states())):
            lab.wait(0.0, *waiting)
        time.sleep(1)


def _status(args: argparse.Namespace) -> int:
    from constructs_lib.lab.keeper import connect

    states = connect(_workspace(args)).states()
    if args.json:
        print_json(_plain(states))
    else:
        width = max(len(state.name) for state in states)
        for state in states:
            print(f"{state.name:<{width}}  {state.address:<15}  {state.word:<9}  {state.about}".rstrip())
    return 0 if all(state.healthy for state in states) else 1


def _exec(args: argparse.Namespace) -> int:
    from constructs_lib.lab.keeper import connect

    done = connect(_workspace(args)).run(args.node, *args.words, timeout=args.timeout)
    if args.json:
        print_json({"code": done.code, "out": done.out, "err": done.err})
    else:
        sys.stdout.write(done.out)
        sys.stderr.write(done.err)
    return done.code


def _logs(args: argparse.Namespace) -> int:
    from constructs_lib.lab.keeper import connect

    folder = connect(_workspace(args)).journals()
    if args.json:
        print_json({"folder": str(folder)})
    else:
        print(folder)
    return 0


def _down(args: argparse.Namespace) -> int:
    from constructs_lib.lab.keeper import end

    end(_workspace(args))
    if args.json:
        print_json({"ended": True})
    return 0


def _workspace(args: argparse.Namespace) -> Workspace:
    return Workspace(args.file) if args.file else Workspace.find()


def _agents(text: str) -> tuple[str, int]:
    pool, _, number = text.partition("=")
    if not pool or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"got {text!r}, expected POOL=N, such as general=2")
    return pool, int(number)


def _seconds(text: str) -> float:
    if not text.isdecimal() or not 0 < int(text) <= 86400:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected seconds, 1 to 86400")
    return float(text)
