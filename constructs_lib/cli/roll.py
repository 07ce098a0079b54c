"""`clustermesos roll`: replace nodes so that they take what a plain deploy leaves alone, one at a time."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.output import json_option, only_answer, print_json
from constructs_lib.components.model import Role
from constructs_lib.errors import RollError, SpecError
from constructs_lib.spec.workspace import Workspace

if TYPE_CHECKING:
    from constructs_lib.plan.model import ClusterPlan
    from constructs_lib.roll.gate import Gate
    from constructs_lib.roll.site import Site

ROLES = {"masters": Role.MASTER, "consul": Role.CONSUL, "edges": Role.EDGE, "gateway": Role.GATEWAY}
"""What can be rolled, beside a pool's agents."""
GATE_SECONDS = 900
"""A node boots, installs its packages and fetches its images within this, on a slow day."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "roll",
        help="replace masters, or a pool's agents, one at a time",
        description="Replaces nodes that are behind their plan (size, image, first-boot text), one at a "
        "time, each only while all the others are healthy. Synthesizes first. Stops at the first node that "
        "does not come back; the same command then goes on.",
        epilog="Exit codes: 0 all that were behind are replaced and healthy, 1 refused or stopped, 2 wrong "
        "input.",
    )
    parser.add_argument(
        "what", choices=(*ROLES, "agents"), help="masters, consul, edges, gateway, or agents POOL"
    )
    parser.add_argument("pool", nargs="?", metavar="POOL", help="with agents: the pool")
    parser.add_argument("--site", metavar="NAME", help="where more than one site has them")
    parser.add_argument(
        "--only", metavar="NAME", help="this node (an instance id of agents), up to date or not"
    )
    parser.add_argument("--all", action="store_true", help="with agents: those too that are up to date")
    parser.add_argument(
        "--gate",
        metavar="CMD",
        help="a shell command that exits with 0 for a healthy node; it gets NODE, ADDRESS, ROLE and CLUSTER "
        "(default: ask clustermesos-health on each node over SSH)",
    )
    parser.add_argument(
        "--gate-timeout",
        type=seconds,
        default=GATE_SECONDS,
        metavar="SECONDS",
        help="how long a new node may take to be healthy (default: %(default)s)",
    )
    parser.add_argument("--dry-run", action="store_true", help="tell what is behind, and change nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    json_option(parser)
    parser.add_argument(
        "--outdir", type=Path, metavar="DIR", help="use this cdktf.out as it is, without synth"
    )
    parser.add_argument(
        "--file", type=Path, help="cluster.yaml (default: $CLUSTERMESOS_FILE or ./cluster.yaml)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Roll; 0 when all that were behind are replaced and healthy."""
    if (args.what == "agents") != (args.pool is not None):
        raise SpecError(
            "roll", args.what + (f" {args.pool}" if args.pool else ""), "agents POOL, or masters alone"
        )
    with only_answer(args.json):
        site = _site(args)
        gate = _gate(args, site)
        # Where a platform scales a pool by itself, Terraform knows none of its machines.
        alone = args.pool is not None and not site.plan.pool(args.pool).ranges
        done = (_roll_agents if alone else _roll_nodes)(args, site, gate)
    if args.json:
        print_json({"site": site.plan.name, "what": args.pool or args.what, "replaced": list(done)})
    return 0


def _roll_nodes(args: argparse.Namespace, site: Site, gate: Gate) -> tuple[str, ...]:
    from constructs_lib.roll.nodes import NodeRoll

    if args.all and args.pool is None:
        raise SpecError("roll --all", args.what, "agents; of nodes with a name, --only replaces one again")
    return NodeRoll(
        site=site,
        role=Role.AGENT if args.pool else ROLES[args.what],
        gate=gate,
        gate_timeout=args.gate_timeout,
        say=_say,
        confirm=_yes if args.yes else ask,
        pool=args.pool,
        only=args.only,
        everyone=args.all,
        dry_run=args.dry_run,
    ).run()


def _roll_agents(args: argparse.Namespace, site: Site, gate: Gate) -> tuple[str, ...]:
    from constructs_lib.roll.agents import AgentRoll
    from constructs_lib.roll.platform import rolling

    group = rolling(site.plan.platform).agent_group(site.plan, site.refresh(), args.pool)
    return AgentRoll(
        site=site,
        group=group,
        gate=gate,
        gate_timeout=args.gate_timeout,
        say=_say,
        confirm=_yes if args.yes else ask,
        only=args.only,
        everyone=args.all,
        dry_run=args.dry_run,
    ).run()


def _site(args: argparse.Namespace) -> Site:
    from constructs_lib.roll.site import Site, stack_folders

    workspace = Workspace(args.file) if args.file else Workspace.find()
    cluster, outdir = _synthesized(workspace, args.outdir)
    return Site(
        cluster=cluster,
        plan=cluster.site(_site_name(cluster, args)),
        workspace=workspace,
        stacks=stack_folders(cluster, outdir),
        say=_say,
    )


def _synthesized(workspace: Workspace, outdir: Path | None) -> tuple[ClusterPlan, Path]:
    from constructs_lib.plan.lock import read_lock
    from constructs_lib.plan.plan import plan
    from constructs_lib.spec.load import load
    from constructs_lib.synth import synthesize

    if outdir is not None:
        return plan(load(workspace.cluster_file), read_lock(workspace.lock_file)), outdir
    synthesis = synthesize(workspace)
    for note in synthesis.notes:
        print(note, file=sys.stderr)
    return synthesis.plan, synthesis.outdir


def _site_name(cluster: ClusterPlan, args: argparse.Namespace) -> str:
    """The site that --site names, else the one that has what is to be rolled; SpecError otherwise."""
    if args.site:
        return cluster.site(args.site).name
    if args.what == "agents":
        having = [
            site.name for site in cluster.sites.values() if args.pool in [pool.name for pool in site.pools]
        ]
        known = sorted({pool.name for site in cluster.sites.values() for pool in site.pools})
    else:
        having = [site.name for site in cluster.sites.values() if site.nodes_of(ROLES[args.what])]
        known = [
            name for name, role in ROLES.items() if any(s.nodes_of(role) for s in cluster.sites.values())
        ]
    if not having:
        raise SpecError(
            f"roll {args.what}", args.pool or args.what, f"one of {', '.join(known) or 'nothing'}"
        )
    if len(having) > 1:
        raise SpecError(
            "roll --site", None, f"one of {', '.join(having)}, since each has {args.pool or args.what}"
        )
    return having[0]


def _gate(args: argparse.Namespace, site: Site) -> Gate:
    from constructs_lib.roll.gate import CommandGate, SshGate

    return CommandGate(command=args.gate) if args.gate else SshGate(ssh=site.ssh)


def _say(line: str) -> None:
    print(line, flush=True)


def _yes(question: str) -> bool:
    _say(question)
    return True


def ask(question: str) -> bool:
    """Whether the person at the terminal says yes; RollError where there is none."""
    if not sys.stdin.isatty():
        raise RollError(f"{question}\nThere is no terminal to answer at: say --yes. Nothing was changed")
    return input(f"{question} Type yes: ").strip().lower() in ("y", "yes")


def seconds(text: str) -> float:
    """The type of an option that takes a time."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 < seconds <= 86400:
        raise argparse.ArgumentTypeError(f"got {text!r}, expected seconds, 1 to 86400")
    return seconds
