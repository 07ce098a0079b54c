"""`clustermesos schema`: the JSON Schema of cluster.yaml."""

from __future__ import annotations

import argparse
import sys

from constructs_lib.spec import json_schema


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "schema",
        help="print the JSON Schema of cluster.yaml, for editors",
        description="Print the JSON Schema of cluster.yaml. Save it beside the file and put "
        "`# yaml-language-server: $schema=cluster.schema.json` into the file's first line.",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    sys.stdout.write(json_schema.text())
    return 0
