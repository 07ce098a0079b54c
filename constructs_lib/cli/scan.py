"""`clustermesos scan`: check the synthesized stacks against policies."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from constructs_lib.errors import SpecError

if TYPE_CHECKING:
    from constructs_lib.scan.report import Report

FORMATS = ("text", "json", "sarif")


def add_parser(commands: Any) -> None:
    """Adds this command to the parser of `clustermesos`."""
    parser: argparse.ArgumentParser = commands.add_parser(
        "scan",
        help="check the synthesized stacks against policies",
        description="Runs checkov over the stacks and holds its findings against the exceptions that "
        "constructs declare.",
        epilog="Exit codes: 0 fine, 1 a check failed, or an exception matches nothing, 2 wrong input.",
    )
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text")
    parser.add_argument("--json", action="store_true", help="the same as --format json")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to the terminal")
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="a synthesized folder; without it, cluster.yaml is synthesized to a temporary one",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Scan, print or write the report, and return 0 when it is fine, else 1."""
    report = _scan(arguments.folder, os.environ)
    text = _renderer("json" if arguments.json else arguments.format)(report)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        _write(arguments.output, text)
        if not report.fine:
            print(f"not fine: see {arguments.output}", file=sys.stderr)
    return 0 if report.fine else 1


def _scan(folder: Path | None, environ: Mapping[str, str]) -> Report:
    from constructs_lib.scan.checkov import find_checkov
    from constructs_lib.scan.scan import scan

    find_checkov(environ)  # Before the synth: a missing program is better said at once.
    if folder is not None:
        return scan(folder, environ)
    from constructs_lib.spec.workspace import Workspace
    from constructs_lib.synth import DEFAULT_OUTDIR, synthesize

    with tempfile.TemporaryDirectory(prefix="clustermesos-scan-") as temporary:
        synthesize(Workspace.find(environ), outdir=Path(temporary), with_secrets=False)
        return scan(Path(temporary), environ, shown_as=Path(DEFAULT_OUTDIR))


def _renderer(name: str) -> Callable[[Report], str]:
    from constructs_lib.scan import document, sarif, text

    return {"text": text.as_text, "json": document.as_json, "sarif": sarif.as_sarif}[name]


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SpecError("--output", str(file), f"a file that can be written ({error.strerror})") from None
