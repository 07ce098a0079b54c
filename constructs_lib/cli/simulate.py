"""`clustermesos simulate`: the cluster's APIs from a simulator on this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constructs_lib.errors import SimulatorError

if TYPE_CHECKING:
    from constructs_lib.simulator.cluster import SimulatedCluster
    from constructs_lib.simulator.cluster.beginning import Begun

_PORTS = {"chronos": 44, "mesos": 50, "agents": 55, "marathon": 80}
"""Program → what is added to the port base; the next instances follow, but for the agents' one port."""
_MOST_MASTERS = 5
_TOKEN_VARIABLE = "CONSUL_HTTP_TOKEN"  # noqa: S105 — its name


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "simulate",
        help="answer as Mesos, Marathon and Chronos would, on this computer, with simulated tasks",
        description="Runs a SIMULATOR of the cluster on loopback ports until Ctrl-C: agents as cluster.yaml "
        "has them, Marathon's, Chronos' and Mesos' APIs, tasks that start, fail and end. docs/simulator.md "
        "says what it does not prove.",
        epilog='Faults and time while it runs: curl -X POST -d \'{"kind": "status", "status": 503}\' '
        "http://127.0.0.1:28080/simulator/faults",
    )
    parser.add_argument(
        "--file",
        "--cluster",
        type=Path,
        help="cluster.yaml whose pools are the agents (default: $CLUSTERMESOS_FILE or ./cluster.yaml where "
        "there is one, else three agents)",
    )
    parser.add_argument(
        "--agents",
        metavar="POOL=N",
        action="append",
        type=_agents,
        help="how many agents of a pool (default: its count or min); may be given again",
    )
    parser.add_argument("--masters", type=_masters, metavar="N", help="instances of each program, 1 to 5")
    parser.add_argument(
        "--port-base",
        type=_port,
        default=28000,
        metavar="PORT",
        help="Marathon is 80 above it, Mesos 50, its agents 55, Chronos 44; 0 takes free ports "
        "(default: %(default)s)",
    )
    parser.add_argument("--state", type=Path, metavar="FILE", help="what survives a restart is kept here")
    parser.add_argument(
        "--faults", type=Path, metavar="FILE", help="YAML with faults:, profiles: and usage: to begin with"
    )
    parser.add_argument(
        "--speed", type=_speed, default=1.0, metavar="N", help="how many times as fast time runs (default: 1)"
    )
    parser.add_argument("--serve", action="store_true", help="make every running task a real HTTP server")
    parser.add_argument(
        "--consul",
        type=_consul,
        action="append",
        metavar="URL",
        help="register tasks at this real Consul, as SITE=URL where there are several; implies --serve; "
        f"the token is ${_TOKEN_VARIABLE}",
    )
    parser.add_argument(
        "--endpoints", type=Path, metavar="FILE", help="write where it answers, for the commands that deploy"
    )
    parser.add_argument("--json", action="store_true", help="print where it answers as JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Answer until SIGINT or SIGTERM; 0."""
    from constructs_lib.simulator.cluster.endpoints_file import endpoints, write_endpoints
    from constructs_lib.simulator.double import RefusedError

    try:
        cluster = _cluster(args)
    except RefusedError as error:
        raise SimulatorError(f"{error}; another --port-base, or 0 for free ports, may help") from None
    except OSError as error:
        raise SimulatorError(f"tasks can't be served here: 127.0.0.0/8 is needed: {error.strerror}") from None
    with cluster, _signals() as stop:
        found = endpoints(cluster, dict(args.consul or ()))
        if args.endpoints is not None:
            write_endpoints(args.endpoints, found)
        try:
            print(json.dumps(found) if args.json else _table(cluster), flush=True)
            stop.wait()
        finally:
            if args.endpoints is not None:
                args.endpoints.unlink(missing_ok=True)
    print("the SIMULATOR has ended", file=sys.stderr)
    return 0


@contextmanager
def _signals() -> Iterator[threading.Event]:
    """Set by the signals that end it, for as long as it runs."""
    stop = threading.Event()
    before = {
        number: signal.signal(number, lambda _number, _frame: stop.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _cluster(args: argparse.Namespace) -> SimulatedCluster:
    from constructs_lib.simulator.cluster import RunningClock, SimulatedCluster
    from constructs_lib.simulator.cluster.beginning import read_file

    begun = _faults(args.faults, read_file) if args.faults else None
    consul = dict(args.consul or ())
    options: dict[str, Any] = {
        "clock": RunningClock(args.speed),
        "state": args.state,
        "serve": args.serve,
        "consul": (consul.get("") or consul) if consul else None,
        "consul_token": os.environ.get(_TOKEN_VARIABLE),
    }
    plan = _plan(args)
    masters = args.masters or (len(plan.site(next(iter(plan.sites.values())).home).masters) if plan else 1)
    options["masters"] = max(1, masters)
    if args.port_base:
        options["ports"] = {
            program: [args.port_base + offset + number for number in range(options["masters"])]
            for program, offset in _PORTS.items()
        }
    counts = dict(args.agents or ())
    cluster = SimulatedCluster.of_plan(plan, counts, **options) if plan else SimulatedCluster(**options)
    try:
        if begun is not None:
            begun.begin(cluster)
    except KeyError as error:
        cluster.stop()
        raise SimulatorError(f"{args.faults}: {error.args[0]}") from None
    return cluster


def _faults(path: Path, read: Callable[[Path], Begun]) -> Begun:
    try:
        return read(path)
    except OSError as error:
        raise SimulatorError(f"{path}: can't be read: {error.strerror}") from None
    except ValueError as error:
        raise SimulatorError(str(error)) from None


def _plan(args: argparse.Namespace) -> Any:
    from constructs_lib.plan.lock import read_lock
    from constructs_lib.plan.plan import plan
    from constructs_lib.spec.load import load
    from constructs_lib.spec.workspace import Workspace

    workspace = Workspace(args.file) if args.file else Workspace.find()
    if args.file is None and not workspace.cluster_file.exists():
        return None
    made = plan(load(workspace.cluster_file), read_lock(workspace.lock_file))
    known = {pool.name for site in made.sites.values() for pool in site.pools}
    for pool, _number in args.agents or ():
        if pool not in known:
            raise SimulatorError(f"--agents: got pool {pool!r}, expected one of {', '.join(sorted(known))}")
    return made


def _table(cluster: SimulatedCluster) -> str:
    rows = [("SIMULATOR", "", "")]
    for name in ("marathon", "chronos", "mesos"):
        one = cluster.instances[name]
        for number, url in enumerate(cluster.urls(name)):
            rows.append((f"{name}-{number + 1}", url, "leads" if one.leader == number else ""))
    rows.append(("agents", f"{cluster.urls('agents')[0]}/HOSTNAME/containers", ""))
    width = max(len(row[1]) for row in rows)
    lines = [f"{name:<12}{url:<{width}}  {about}".rstrip() for name, url, about in rows]
    agents = cluster.world.agents.values()
    pools: dict[str, int] = {}
    for agent in agents:
        pool = str(agent.attributes.get("pool", "no pool"))
        pools[pool] = pools.get(pool, 0) + 1
    counted = ", ".join(f"{pool} {number}" for pool, number in pools.items()) or "none"
    return "\n".join(
        [
            *lines,
            f"agents: {counted}",
            "No task runs for real unless --serve makes it a server.",
            "Faults, and what tasks use: /simulator on every port.",
            "Ctrl-C ends it.",
        ]
    )


def _agents(text: str) -> tuple[str, int]:
    pool, _, number = text.partition("=")
    if not pool or not number.isdecimal() or int(number) > 1000:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected POOL=N, such as general=2, 1000 at most")
    return pool, int(number)


def _masters(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= _MOST_MASTERS:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected 1 to {_MOST_MASTERS}")
    return int(text)


def _port(text: str) -> int:
    if not text.isdecimal() or not (text == "0" or 1024 <= int(text) <= 65000):
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a port, 1024 to 65000, or 0")
    return int(text)


def _speed(text: str) -> float:
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0.01 <= speed <= 10_000:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected a number, 0.01 to 10000")
    return speed


def _consul(text: str) -> tuple[str, str]:
    site, separator, url = text.rpartition("=")
    if not url.startswith(("http://", "https://")) or (separator and not site):
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a URL such as http://127.0.0.1:8500, or SITE=URL"
        )
    return site, url.rstrip("/")
