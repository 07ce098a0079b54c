"""`clustermesos links`: other keys for the WireGuard links between sites, in one command."""

from __future__ import annotations

import argparse
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from constructs_lib.cli.nodes import confirmed, say
from constructs_lib.cli.output import json_option, only_answer, print_json
from constructs_lib.errors import RollError
from constructs_lib.spec.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from constructs_lib.plan.model import PlannedSecret
    from constructs_lib.rollout.cluster import Nodes
    from constructs_lib.rollout.link_keys import RemoteGateway
    from constructs_lib.rollout.survey import NodeState


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "links",
        help="change the keys of the links between sites",
        description="The WireGuard links between the gateways of a cluster's sites.",
    )
    verbs = parser.add_subparsers(metavar="rotate", required=True, dest="verb")
    rotate = verbs.add_parser(
        "rotate",
        help="new keys for all links, at every gateway, now",
        description="Makes new keys, brings each gateway its own and the others' public ones over SSH, and "
        "keeps them once every link was heard under them; else all gateways go back to the former ones. "
        "A change that was interrupted is gone on with by the same command.",
        epilog="Exit codes: 0 new keys are in force, 1 they are not, 2 the input is wrong.",
    )
    rotate.add_argument(
        "--outdir", type=Path, metavar="DIR", help="the synthesized stacks (default: cdktf.out)"
    )
    rotate.add_argument(
        "--file", type=Path, help="cluster.yaml (default: $CLUSTERMESOS_FILE or ./cluster.yaml)"
    )
    rotate.add_argument("--yes", action="store_true", help="do not ask")
    json_option(rotate)
    rotate.set_defaults(run=run_rotate)


def run_rotate(args: argparse.Namespace) -> int:
    """0 once new keys are in force at every gateway and in the store."""
    with only_answer(args.json):
        sites = _rotate(args)
    if args.json:
        print_json({"good": True, "sites": sites})
    return 0


def _rotate(args: argparse.Namespace) -> list[str]:
    """The sites whose gateways have new keys now, in the order in which they got them."""
    from constructs_lib.plan.link import calling_order
    from constructs_lib.rollout.cluster import Nodes
    from constructs_lib.rollout.link_keys import change_keys
    from constructs_lib.secrets.link_keys import begun, finish, link_keys
    from constructs_lib.spec.load import load
    from constructs_lib.synth import DEFAULT_OUTDIR, OUTDIR_VARIABLE

    workspace = Workspace(args.file) if args.file else Workspace.find()
    spec = load(workspace.cluster_file)
    outdir = args.outdir or Path(os.environ.get(OUTDIR_VARIABLE) or DEFAULT_OUTDIR)
    nodes = Nodes.find(workspace, outdir, ["gateway"], site=None, say=say)
    keys = link_keys(nodes.cluster.secrets, os.environ)
    store = workspace.secrets_file
    values = begun(keys, store)
    states = nodes.survey()
    _require_all(nodes, states, keys)
    if values:
        say("going on with the new keys of a change that was interrupted")
    order = calling_order(spec)
    if not confirmed(args, f"New link keys for {', '.join(order)}? Links are down for some seconds."):
        raise RollError("not confirmed; nothing was changed")
    with ExitStack() as held:
        for site in order:
            held.enter_context(nodes.lease(site))
        wanted = values or _chosen(states, keys, nodes.values, store)
        change_keys(_gateways(nodes, order, keys, wanted), say)
        finish(wanted, store, [site.stacks[name] for name, site in nodes.sites.items()])
    say(
        f"{store.name} has the keys that are in force now. Terraform's copies are older until the next cdktf "
        "deploy '*', which changes no gateway that runs; until then gateways put the new keys before those. "
        "On AWS deploy before you roll a gateway"
    )
    return list(order)


def _chosen(
    states: Sequence[NodeState], keys: Sequence[PlannedSecret], held: Mapping[str, str], store: Path
) -> Mapping[str, str]:
    """New ones; those of the store where they were renewed there and some gateway lacks them."""
    from constructs_lib.secrets.link_keys import begin

    names = {key.name for key in keys}
    behind = [
        f"{state.target.name}.{state.target.site}"
        for state in states
        if any(found != "same" for name, found in _seen(state).items() if name in names)
    ]
    if not behind:
        return begin(keys, store)
    say(f"{', '.join(behind)}: other keys than {store.name} has; brings those, makes none")
    return {name: held[name] for name in names}


def _seen(state: NodeState) -> Mapping[str, str | None]:
    return state.seen.secrets if state.seen else {}


def _require_all(nodes: Nodes, states: Sequence[NodeState], keys: Sequence[PlannedSecret]) -> None:
    """A gateway that does not take part would be cut off."""
    from constructs_lib.components.model import Role

    absent = [
        f"gateway of {site}: planned, not deployed"
        for site in nodes.sites
        if nodes.missing(site, Role.GATEWAY)
    ]
    lines = [f"{state.target.name}.{state.target.site}: {state.trouble}" for state in states if state.trouble]
    unmade = sorted(key.name for key in keys if key.name not in nodes.values)
    lacking = [f"{', '.join(unmade)}: not made yet; run: clustermesos secrets"] if unmade else []
    if absent or lines or lacking:
        raise RollError(
            "\n".join([*absent, *lines, *lacking, "all gateways have to be reached; nothing was changed"])
        )


def _gateways(
    nodes: Nodes, order: Sequence[str], keys: Sequence[PlannedSecret], values: Mapping[str, str]
) -> list[RemoteGateway]:
    """In that order, each with what it reads of the keys."""
    from constructs_lib.rollout.link_keys import RemoteGateway

    known = {key.name: key for key in keys}
    targets = {target.site: target for target in nodes.targets}
    found = []
    for site in order:
        link = nodes.sites[site].plan.link
        read = [known[name] for name in targets[site].generation.secrets if name in known]
        public = {key.name: key.site if key.declared.signed_by else None for key in read}
        found.append(
            RemoteGateway(
                site=site,
                shell=nodes.shell(targets[site]),
                keys={name: (whose, values[name]) for name, whose in public.items()},
                peers=[peer.site for peer in link.peers] if link else [],
            )
        )
    return found
