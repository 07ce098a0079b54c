"""`clustermesos nodes`: bring changed files, units, packages and secrets to nodes that run."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from constructs_lib.errors import ClusterMesosError, RollError
from constructs_lib.spec.workspace import Workspace

if TYPE_CHECKING:
    from constructs_lib.plan.model import ClusterPlan
    from constructs_lib.roll.site import Site
    from constructs_lib.rollout.remote import NodeShell
    from constructs_lib.rollout.survey import NodeState
    from constructs_lib.rollout.targets import Target

CHANGES, FAILED = 2, 1
"""What `nodes plan` ends with, as `terraform plan -detailed-exitcode` does; 0 is nothing to change."""
PATIENCE_SECONDS = 900
"""How long a changed node may take to be healthy."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "nodes",
        help="plan and apply changed files, units, packages and secrets on nodes that run",
        description="Bring what cluster.yaml says now to nodes that run, one at a time, over SSH through the "
        "gateway. Networks, machines and secrets themselves come from cdktf deploy, which goes first.",
    )
    verbs = parser.add_subparsers(
        metavar="plan|apply|rollback", required=True, dest="verb", parser_class=_VerbParser
    )
    plan = verbs.add_parser(
        "plan",
        help="show what would change",
        epilog="Exit codes: 0 nothing to change, 1 failed or a node is not known, 2 something would change.",
    )
    _common(plan)
    plan.add_argument("--diff", action="store_true", help="show each file's change")
    plan.add_argument("--json", action="store_true", help="as one JSON object")
    plan.set_defaults(run=run_plan)


class _VerbParser(argparse.ArgumentParser):
    """A wrong call of `plan` must not end as "something would change" does."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Unknown arguments are told here, not by the parser of all commands."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Usage and message on standard error, then the end."""
        if not self.prog.endswith(" plan"):
            super().error(message)
        self.print_usage(sys.stderr)
        self.exit(FAILED, f"{self.prog}: error: {message}\n")


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what",
        nargs="*",
        metavar="NODE|ROLE|POOL",
        help="these only: master-1, masters, consul, edges, gateway, agents, or a pool (default: all)",
    )
    parser.add_argument("--site", metavar="NAME", help="the nodes of this site only")
    parser.add_argument(
        "--outdir", type=Path, metavar="DIR", help="the synthesized stacks (default: cdktf.out)"
    )
    parser.add_argument(
        "--file", type=Path, help="cluster.yaml (default: $CLUSTERMESOS_FILE or ./cluster.yaml)"
    )


def run_plan(args: argparse.Namespace) -> int:
    """Show it; see the exit codes above."""
    from constructs_lib.rollout.report import plan_json, plan_lines

    try:
        nodes = Nodes.find(args)
        states = nodes.survey()
    except ClusterMesosError as error:
        # 2, which wrong input ends with elsewhere, means changes here.
        print(error, file=sys.stderr)
        return FAILED
    if args.json:
        print(json.dumps(plan_json(nodes.cluster.name, states, nodes.absent), indent=2, ensure_ascii=False))
    else:
        print("\n".join(plan_lines(states, nodes.absent, diff=args.diff)))
    if any(state.trouble for state in states):
        return FAILED
    return CHANGES if any(state.changes for state in states) else 0


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The nodes that the arguments mean, over all sites that they mean."""

    cluster: ClusterPlan
    sites: Mapping[str, Site]
    targets: Sequence[Target]
    absent: Mapping[str, str]
    """Planned nodes that are not deployed, and why they are left out."""
    values: Mapping[str, str]

    @classmethod
    def find(cls, args: argparse.Namespace) -> Nodes:
        """Read cluster.yaml, the lock and what was deployed; SpecError for names that mean nothing."""
        from constructs_lib.cli.roll import stack_folders
        from constructs_lib.plan.lock import read_lock
        from constructs_lib.plan.plan import plan
        from constructs_lib.roll.site import Site, write_ssh
        from constructs_lib.rollout.targets import chosen, in_order
        from constructs_lib.spec.load import load
        from constructs_lib.synth import DEFAULT_OUTDIR, OUTDIR_VARIABLE

        workspace = Workspace(args.file) if args.file else Workspace.find()
        cluster = plan(load(workspace.cluster_file), read_lock(workspace.lock_file))
        names = [cluster.site(args.site).name] if args.site else list(cluster.sites)
        outdir = args.outdir or Path(os.environ.get(OUTDIR_VARIABLE) or DEFAULT_OUTDIR)
        stacks = stack_folders(cluster, outdir)
        sites = {
            name: Site(cluster=cluster, plan=cluster.site(name), workspace=workspace, stacks=stacks, say=say)
            for name in names
        }
        targets: list[Target] = []
        absent: dict[str, str] = {}
        addresses: dict[str, dict[str, str]] = {}
        for site in sites.values():
            part = _of_site(site, args.what)
            targets += part.targets
            absent |= part.absent
            addresses[site.plan.name] = part.agents
        write_ssh(cluster, workspace, stacks, os.environ, agents=addresses)
        meant = in_order(chosen(targets, args.what))
        return cls(
            cluster=cluster,
            sites=sites,
            targets=meant,
            absent={} if args.what else absent,
            values=_values(cluster, workspace),
        )

    def survey(self) -> tuple[NodeState, ...]:
        """What each has now."""
        from constructs_lib.rollout.survey import survey

        return survey(self.targets, self.shell, self.values)

    def shell(self, target: Target) -> NodeShell:
        """The way to it."""
        from constructs_lib.rollout.remote import NodeShell

        return NodeShell(ssh=self.sites[target.site].ssh, login=target.machine.login)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One site's share; `agents` are the addresses of machines by their names."""

    targets: Sequence[Target]
    absent: Mapping[str, str]
    agents: dict[str, str]


def _of_site(site: Site, words: Sequence[str]) -> _Part:
    """The site's nodes that are deployed, and those that are not."""
    from constructs_lib.rollout.targets import agents, list_agents, planned, pools_to_list
    from constructs_lib.rollout.wanted import secret_source

    deployed = site.deployed()
    there = deployed.nodes if deployed else {}
    absent = {
        f"{node.name}.{site.plan.name}": "planned, not deployed yet: cdktf deploy"
        for node in site.plan.nodes
        if node.name not in there
    }
    if deployed is None:
        return _Part(targets=(), absent=absent, agents={})
    if deployed.gateway is None:
        raise RollError(f"{site.plan.name}: has no gateway, so no node is reached from here")
    source = secret_source(site.plan)
    found = planned(site, deployed, source)
    pools = [pool.name for pool in pools_to_list(site.plan, words, found) if pool.name in deployed.pools]
    machines = {pool: list_agents(site.plan, deployed, pool) for pool in pools}
    found += agents(site, deployed, source, machines)
    addresses = {agent.id: agent.address for group in machines.values() for agent in group if agent.address}
    return _Part(targets=found, absent=absent, agents=addresses)


def _values(cluster: ClusterPlan, workspace: Workspace) -> dict[str, str]:
    """The secrets that are to be had here, by name; used to compare, never shown."""
    from constructs_lib.secrets.ensure import VARIABLE_PREFIX
    from constructs_lib.secrets.store import read_store

    held = read_store(workspace.secrets_file)
    names = [secret.name for secret in cluster.secrets]
    found = {name: os.environ.get(f"{VARIABLE_PREFIX}{name}") or held.get(name) for name in names}
    return {name: value for name, value in found.items() if value}


def say(line: str) -> None:
    """One line for the person who waits."""
    print(line, flush=True)
