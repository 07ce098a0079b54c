"""`clustermesos synth`: cluster.yaml → cdktf.out, as `python -m stacks` does, for an installed library."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from constructs_lib.cli.output import json_option, print_json
from constructs_lib.spec.workspace import Workspace


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "synth",
        help="write cdktf.out from cluster.yaml",
        description="Writes a stack for each site, and one more where there are contracts, below cdktf.out: "
        "what `cdktf deploy` and the other commands read. Makes missing secrets, and notes in "
        "cluster.lock.json what must never change; commit that file. Nothing is deployed.",
    )
    parser.add_argument(
        "file", nargs="?", type=Path, help="cluster.yaml (default: $CLUSTERMESOS_FILE or ./cluster.yaml)"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="where to write (default: cdktf.out)")
    parser.add_argument(
        "--without-secrets",
        action="store_true",
        help="need and make no secret and no lock: the result can be scanned and validated, not deployed",
    )
    json_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Synthesize and say which stacks came out."""
    from constructs_lib.terraform.engine import warm_engine

    warm_engine()  # Node starts while the rest is imported
    from constructs_lib.synth import synthesize

    workspace = Workspace(args.file) if args.file else Workspace.find()
    synthesis = synthesize(workspace, outdir=args.output, with_secrets=not args.without_secrets)
    for note in synthesis.notes:
        print(note, file=sys.stderr)
    written = {
        stack: str(synthesis.outdir / "stacks" / stack / "cdk.tf.json") for stack in synthesis.stacks.values()
    }
    if args.json:
        print_json({"outdir": str(synthesis.outdir), "stacks": written, "notes": list(synthesis.notes)})
    else:
        print("\n".join(written.values()))
    return 0
