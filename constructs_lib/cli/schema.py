"""`clustermesos schema`: the JSON Schema of cluster.yaml, or of contracts."""

from __future__ import annotations

import argparse
import sys

from constructs_lib.contracts import json_schema as contract_schema
from constructs_lib.spec import json_schema


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "schema",
        help="print the JSON Schema of cluster.yaml or of contracts, for editors",
        description="Print the JSON Schema of cluster.yaml. Save it beside the file and put "
        "`# yaml-language-server: $schema=cluster.schema.json` into the file's first line.",
    )
    parser.add_argument(
        "--contract", action="store_true", help="the schema of contracts/*.yaml instead of cluster.yaml's"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    sys.stdout.write(contract_schema.text() if arguments.contract else json_schema.text())
    return 0
