"""`clustermesos nodes`: bring changed files, units, packages and secrets to nodes that run."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from constructs_lib.cli.output import json_option, only_answer, print_error, print_json
from constructs_lib.cli.parser import Parser
from constructs_lib.cli.roll import seconds as _seconds
from constructs_lib.errors import ClusterMesosError, RollError
from constructs_lib.spec.workspace import Workspace

if TYPE_CHECKING:
    from constructs_lib.rollout.cluster import Nodes
    from constructs_lib.rollout.run import Rollout
    from constructs_lib.rollout.survey import NodeState

CHANGES, FAILED = 2, 1
"""What `nodes plan` ends with, as `terraform plan -detailed-exitcode` does; 0 is nothing to change."""
_ENDS = "Exit codes: 0 all are as they are to be, and healthy; 1 refused or stopped; 2 wrong input."
PATIENCE_SECONDS = 900
"""How long a changed node may take to be healthy."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "nodes",
        help="plan and apply changed files, units, packages and secrets on nodes that run",
        description="Bring what cluster.yaml says now to nodes that run, one at a time, over SSH through the "
        "gateway. Networks, machines and secrets themselves come from cdktf deploy, which goes first.",
        epilog="Exit codes: 0 fine, 1 failed, 2 wrong input; of `nodes plan`, 2 means that something would "
        "change, and wrong input ends with 1.",
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
    json_option(plan)
    plan.set_defaults(run=run_plan)
    apply = verbs.add_parser(
        "apply",
        help="change the nodes, one at a time",
        epilog=_ENDS,
        description="Shows the plan, asks, and changes one node at a time, each only while all others of its "
        "role are healthy. Stops at the first that does not come back; the same command then goes on.",
    )
    _common(apply)
    _changing(apply)
    apply.add_argument("--diff", action="store_true", help="show each file's change")
    apply.set_defaults(run=run_apply)
    rollback = verbs.add_parser(
        "rollback",
        help="take the last apply back",
        epilog=_ENDS,
        description="Has nodes go back to the generation that they had before: those that are named, else "
        "all that the last apply changed, the last one first. Values of secrets "
        "and removed packages do not come back.",
    )
    _common(rollback)
    _changing(rollback)
    rollback.add_argument("--diff", action="store_true", help="show each file's change")
    rollback.set_defaults(run=run_rollback)


class _VerbParser(Parser):
    """A wrong call of `plan` must not end as "something would change" does."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Unknown arguments are told here, not by the parser of all commands."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Usage and message on standard error, then the end."""
        if self.prog.endswith(" plan"):
            self.wrong_input = FAILED
        super().error(message)


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


def _changing(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--gate",
        metavar="CMD",
        help="a shell command that exits with 0 for a healthy node; it gets NODE, ADDRESS, ROLE and CLUSTER "
        "(default: ask clustermesos-health on each node over SSH)",
    )
    parser.add_argument(
        "--gate-timeout",
        type=_seconds,
        default=PATIENCE_SECONDS,
        metavar="SECONDS",
        help="how long a changed node may take to be healthy (default: %(default)s)",
    )
    parser.add_argument(
        "--restart-docker",
        action="store_true",
        help="also on agents, where a restart of Docker ends all containers",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    json_option(parser)


def run_plan(args: argparse.Namespace) -> int:
    """Show it; see the exit codes above."""
    from constructs_lib.rollout.report import plan_json, plan_lines

    try:
        nodes = _find(args)
        states = nodes.survey()
    except ClusterMesosError as error:
        # 2, which wrong input ends with elsewhere, means changes here.
        return print_error(error, as_json=args.json, code=FAILED)
    if args.json:
        print_json(plan_json(nodes.cluster.name, states, nodes.absent, nodes.growing))
    else:
        print("\n".join([*plan_lines(states, nodes.absent, diff=args.diff), *_growth_lines(nodes)]))
    if any(state.trouble for state in states):
        return FAILED
    return CHANGES if nodes.growing or any(state.changes for state in states) else 0


def run_apply(args: argparse.Namespace) -> int:
    """Change them; 0 when all are what they are to be, and healthy."""
    with only_answer(args.json):
        done = _apply(args)
    if args.json:
        print_json({"changed": done})
    return 0


def _apply(args: argparse.Namespace) -> list[str]:
    from constructs_lib.rollout.report import plan_lines
    from constructs_lib.rollout.run import Rollout

    nodes = _find(args)
    states = nodes.survey()
    print("\n".join([*plan_lines(states, nodes.absent, diff=args.diff), *_growth_lines(nodes)]))
    behind = [state for state in states if state.changes]
    _require_known(states)
    if not behind and not nodes.growing:
        return []
    _require_deployed(nodes, behind)
    require_secrets_in_reach(behind, nodes.values)
    _require_told(args, behind)
    names = ", ".join(state.target.name for state in behind)
    question = f"Change {names}, one at a time?" if behind else "Let the new masters in?"
    if not confirmed(args, question):
        raise RollError("not confirmed; nothing was changed")
    done = _change(args, nodes, behind, Rollout.apply) if behind else []
    if nodes.growing:
        _let_in(args, nodes)
    return done


def _growth_lines(nodes: Nodes) -> Iterator[str]:
    for growth in nodes.growing:
        yield (
            f"Masters of {growth.site}: {growth.old} become {growth.new}, step 1 of 3: those that run learn "
            f"the new quorum, {growth.quorum}. Step 2 is cdktf deploy: it makes {', '.join(growth.masters)}; "
            "step 3 is nodes apply again, when they are healthy."
        )


def _let_in(args: argparse.Namespace, nodes: Nodes) -> None:
    """The lock names the new masters once each running one has the quorum that they need."""
    from constructs_lib.plan.growth import grown
    from constructs_lib.plan.lock import read_lock, write_lock

    behind = [state.target.name for state in nodes.masters() if state.changes or state.trouble]
    if behind:
        say(
            f"not let in yet: {', '.join(behind)} still lack the new quorum: clustermesos nodes apply masters"
        )
        return
    lock_file = _workspace(args).lock_file
    lock = read_lock(lock_file)
    if lock is not None:
        write_lock(lock_file, grown(lock, nodes.growing))
    for growth in nodes.growing:
        say(
            f"{lock_file.name}: {growth.site} may have {growth.new} masters now; commit this file. Next: "
            f"cdktf deploy makes {', '.join(growth.masters)}, then clustermesos nodes apply"
        )


def run_rollback(args: argparse.Namespace) -> int:
    """Go back; 0 when all are back and healthy, also when there was nothing to go back to."""
    with only_answer(args.json):
        done = _go_back(args)
    if args.json:
        print_json({"went_back": done})
    return 0


def _go_back(args: argparse.Namespace) -> list[str]:
    from constructs_lib.rollout.changes import changes_back
    from constructs_lib.rollout.report import plan_lines
    from constructs_lib.rollout.run import Rollout, can_go_back, last_first, of_the_last_rollout

    nodes = _find(args)
    states = nodes.survey()
    if args.what:
        _require_known(states)
        meant = tuple(state for state in states if state.seen and can_go_back(state.seen))
    else:
        meant = of_the_last_rollout(states)
    if not meant:
        say("nothing to go back to: no node of these was changed by nodes apply")
        return []
    _require_may_go_back(nodes, meant)
    ordered = last_first(meant)
    going = [replace(state, changes=changes_back(state.seen)) for state in ordered if state.seen]
    print("\n".join(plan_lines(going, {}, diff=args.diff)))
    _require_told(args, going)
    names = ", ".join(state.target.name for state in ordered)
    if not confirmed(args, f"Have {names} go back to what they had before, one at a time?"):
        raise RollError("not confirmed; nothing was changed")
    return _change(args, nodes, ordered, Rollout.back)


def _change(
    args: argparse.Namespace,
    nodes: Nodes,
    states: Sequence[NodeState],
    change: Callable[[Rollout, Sequence[NodeState]], tuple[str, ...]],
) -> list[str]:
    """Site by site, each under its lock; the names of those that were changed."""
    done: list[str] = []
    for site in nodes.sites:
        part = [state for state in states if state.target.site == site]
        if part:
            with nodes.lease(site) as lease:
                rollout = nodes.rollout(site, lease, gate=args.gate, gate_timeout=args.gate_timeout, say=say)
                done += change(rollout, part)
    say(f"done: {', '.join(done) or 'nothing was left to do'}")
    return done


def _require_known(states: Sequence[NodeState]) -> None:
    unknown = [state.target.name for state in states if state.trouble]
    if unknown:
        raise RollError(
            f"{', '.join(unknown)}: not known, see above; nothing was changed. Bring them back, or name the "
            "nodes that are to be changed without them"
        )


def require_secrets_in_reach(behind: Sequence[NodeState], values: Mapping[str, str]) -> None:
    """RollError for secrets that come with a machine alone and that are not here (`values`) to be brought."""
    lines = [
        f"{state.target.name}.{state.target.site}: lacks {', '.join(lacking)}, which come with a "
        f"new machine alone and are not here to be brought; run: {state.target.rolled_by} first"
        for state in behind
        for lacking in ([name for name in state.out_of_reach if name not in values],)
        if lacking
    ]
    if lines:
        raise RollError("\n".join([*lines, "nothing was changed"]))


def _require_deployed(nodes: Nodes, behind: Sequence[NodeState]) -> None:
    """The running voters must not count on one that does not exist."""
    from constructs_lib.roll.nodes import VOTERS

    for site in nodes.sites:
        roles = {state.target.role for state in behind if state.target.site == site}
        for role in VOTERS:
            missing = nodes.missing(site, role)
            if missing and role in roles:
                raise RollError(
                    f"{', '.join(missing)} of {site}: planned, not deployed, and the others would count on "
                    "it: cdktf deploy, then again. Nothing was changed"
                )


def _require_told(args: argparse.Namespace, states: Sequence[NodeState]) -> None:
    """On agents a restart ends somebody's tasks: not without being told to."""
    from constructs_lib.components.model import Role

    ending = {
        state.target.name: change.ends
        for state in states
        for change in state.changes
        if change.ends and state.target.role is Role.AGENT
    }
    if ending and not args.restart_docker:
        raise RollError(
            f"{', '.join(ending)}: Docker would be restarted, which ends {next(iter(ending.values()))}, "
            "tasks included: say --restart-docker, once they are drained or where that does not matter, or "
            "name other nodes to change those alone. Nothing was changed"
        )


def _require_may_go_back(nodes: Nodes, meant: Sequence[NodeState]) -> None:
    """Nothing goes back to a quorum that is too small for the masters that there are, or are let in."""
    from constructs_lib.components.model import Role
    from constructs_lib.rollout.run import why_not_back

    for state in meant:
        masters = len(nodes.sites[state.target.site].plan.nodes_of(Role.MASTER))
        reason = state.seen and why_not_back(state.seen, masters)
        if reason:
            raise RollError(
                f"{state.target.name}: refused, since {reason}. Where the new ones are not deployed yet, put "
                "cluster.yaml and cluster.lock.json back first"
            )


def confirmed(args: argparse.Namespace, question: str) -> bool:
    """Whether the person who waits says yes, or --yes did."""
    from constructs_lib.cli.roll import ask

    if args.yes:
        say(question)
        return True
    return ask(question)


def _find(args: argparse.Namespace) -> Nodes:
    from constructs_lib.rollout.cluster import Nodes
    from constructs_lib.synth import DEFAULT_OUTDIR, OUTDIR_VARIABLE

    return Nodes.find(
        _workspace(args),
        args.outdir or Path(os.environ.get(OUTDIR_VARIABLE) or DEFAULT_OUTDIR),
        args.what,
        site=args.site,
        # What plan prints is for programs too.
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )


def _workspace(args: argparse.Namespace) -> Workspace:
    return Workspace(args.file) if args.file else Workspace.find()


def say(line: str) -> None:
    """One line for the person who waits."""
    print(line, flush=True)
