"""`clustermesos show`: what was deployed, and how to log in."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.output import json_option, print_error, print_json
from constructs_lib.cli.quota import quota_rows
from constructs_lib.spec.workspace import Workspace

if TYPE_CHECKING:
    from constructs_lib.access.deployed import Deployed
    from constructs_lib.plan.model import ClusterPlan
    from constructs_lib.roll.site import Site

ENDPOINTS = {
    "edge_http": "applications, by nginx",
    "edge_https": "applications, by nginx, encrypted",
}
"""What the endpoints are that an output may name."""
BEFORE_DEPLOY = "nothing is deployed yet: cdktf deploy '*'"


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "show",
        help="print what was deployed: nodes, addresses, endpoints, how to log in",
        description="Prints what each site's stack says that it deployed, or said last, and writes "
        ".clustermesos/ssh_config, by which your own ssh reaches every node through the gateway.",
        epilog="Exit codes: 0 fine, 1 nothing is deployed yet, 2 wrong input.",
    )
    json_option(parser)
    parser.add_argument(
        "--outdir", type=Path, metavar="DIR", help="the synthesized stacks (default: cdktf.out)"
    )
    parser.add_argument(
        "--file", type=Path, help="cluster.yaml (default: $CLUSTERMESOS_FILE or ./cluster.yaml)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print it; 1 where nothing is deployed."""
    from constructs_lib.errors import ToolError
    from constructs_lib.plan.lock import read_lock
    from constructs_lib.plan.plan import plan
    from constructs_lib.roll.site import stack_folders, write_ssh
    from constructs_lib.spec.load import load
    from constructs_lib.synth import DEFAULT_OUTDIR, OUTDIR_VARIABLE

    workspace = Workspace(args.file) if args.file else Workspace.find()
    cluster = plan(load(workspace.cluster_file), read_lock(workspace.lock_file))
    stacks = stack_folders(cluster, args.outdir or Path(os.environ.get(OUTDIR_VARIABLE) or DEFAULT_OUTDIR))
    found = [site for name in cluster.sites for site in [_deployed(cluster, name, workspace, stacks)] if site]
    if not found:
        return print_error(ToolError(f"{cluster.name}: {BEFORE_DEPLOY}"), as_json=args.json)
    config = write_ssh(cluster, workspace, stacks, os.environ).config
    if args.json:
        print_json({site.site: site.model_dump() for site in found})
        return 0
    print("\n\n".join("\n".join(_site_lines(site, _shown(config))) for site in found))
    return 0


def _deployed(
    cluster: ClusterPlan, name: str, workspace: Workspace, stacks: Mapping[str, Path]
) -> Deployed | None:
    """What the site's stack says, else what it said when it was last asked, with a note that this is so."""
    from constructs_lib.access.deployed import read_saved
    from constructs_lib.errors import ToolError
    from constructs_lib.roll.site import Site

    site = Site(
        cluster=cluster,
        plan=cluster.site(name),
        workspace=workspace,
        stacks=stacks,
        say=lambda line: print(line, file=sys.stderr),
    )
    try:
        return _asked(site)
    except ToolError as error:
        saved = read_saved(workspace.outputs_folder, name)
        note = "what it said last time follows" if saved else "and no earlier answer is saved"
        print(f"{name}: its outputs can't be read, {note}: {error}", file=sys.stderr)
        return saved


def _asked(site: Site) -> Deployed | None:
    """None, without asking Terraform, where nothing can have been deployed from here."""
    return site.deployed() if _has_saved(site) or _may_be_deployed(site) else None


def _has_saved(site: Site) -> bool:
    return (site.workspace.outputs_folder / f"{site.plan.name}.json").exists()


def _may_be_deployed(site: Site) -> bool:
    from constructs_lib.spec.model import LocalState

    stack = site.terraform.folder
    local = isinstance(site.cluster.state, LocalState)
    return stack.is_dir() and (not local or site.workspace.state_file(stack.name).exists())


def _site_lines(site: Deployed, config: str) -> Iterator[str]:
    yield f"{site.cluster}, site {site.site} on {site.platform}"
    yield ""
    nodes = [(name, node.role, node.zone, node.address) for name, node in site.nodes.items()]
    yield from table(("NODE", "ROLE", "ZONE", "ADDRESS"), nodes)
    if site.pools:
        yield ""
        yield from table(
            ("POOL", "AGENTS", "GROUP"),
            [
                (name, _bounds(pool.min, pool.max), pool.autoscaling_group or "-")
                for name, pool in site.pools.items()
            ],
        )
    if site.endpoints:
        yield ""
        yield from table(
            ("ENDPOINT", "URL", "WHAT"),
            [(name, url, ENDPOINTS.get(name, "")) for name, url in site.endpoints.items()],
        )
    if site.quota:
        yield ""
        yield from table(("QUOTA", "TAKEN"), quota_rows(site.quota))
    yield ""
    if site.gateway is None:
        yield "There is no gateway: nodes are reached from inside the network only."
        return
    yield f"Gateway: {site.gateway.public_address}"
    first = next((name for name, node in site.nodes.items() if node.role == "master"), site.gateway.name)
    yield f"Log in:  ssh -F {config} {first}.{site.site}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """Lines of columns, each as wide as its widest cell."""
    lines = [tuple(head), *(tuple(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    for line in lines:
        yield "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()


def _bounds(least: int, most: int) -> str:
    return str(least) if least == most else f"{least} to {most}"


def _shown(path: Path) -> str:
    """As it can be typed: relative where it is below the current folder."""
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))
