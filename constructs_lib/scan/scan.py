"""From a synthesized folder to the report."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from constructs_lib.errors import ScanError, SpecError
from constructs_lib.scan.checkov import TIME_LIMIT, run_checkov
from constructs_lib.scan.declared import CONFIG_FILE, STACK_FILE, read_exceptions, read_skipped
from constructs_lib.scan.layout import locate
from constructs_lib.scan.report import Report, Stack, judge


def scan(
    folder: Path, environ: Mapping[str, str], *, shown_as: Path | None = None, time_limit: float = TIME_LIMIT
) -> Report:
    """Scan every stack in `folder`, a synthesized `cdktf.out` or the folder of one stack.

    `shown_as` is the folder to name in the report. SpecError when there is no stack; ScanError or ToolError
    when the scan cannot be done.
    """
    stacks = [_read(file, name, shown_as, folder) for name, file in _stack_files(folder).items()]
    run = run_checkov({stack.name: stack.content for stack in stacks}, environ, time_limit=time_limit)
    skipped = read_skipped(folder) if (folder / CONFIG_FILE).is_file() else None
    return judge(run, stacks, skipped)


def _stack_files(folder: Path) -> dict[str, Path]:
    """Stack name → file. What a former synth left behind is in no manifest, and nothing deploys it."""
    if (folder / STACK_FILE).is_file():
        return {folder.resolve().name: folder / STACK_FILE}
    manifest = folder / "manifest.json"
    files = _listed(manifest) if manifest.is_file() else list(folder.glob(f"stacks/*/{STACK_FILE}"))
    if not files:
        raise SpecError(
            "DIR",
            str(folder),
            f"a synthesized folder (with stacks/*/{STACK_FILE}); run clustermesos synth first",
        )
    return {file.parent.name: file for file in sorted(files)}


def _listed(manifest: Path) -> list[Path]:
    try:
        stacks = json.loads(manifest.read_text(encoding="utf-8"))["stacks"]
        return [manifest.parent / stack["synthesizedStackPath"] for stack in stacks.values()]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ScanError(f"{manifest}: cannot be read ({error}); synthesize again") from None


def _read(file: Path, name: str, shown_as: Path | None, folder: Path) -> Stack:
    shown = (shown_as or folder) / file.relative_to(folder)
    try:
        text = file.read_text(encoding="utf-8")
        content: Any = json.loads(text)
    except (OSError, ValueError) as error:
        raise ScanError(f"{shown}: cannot be read ({error}); synthesize again") from None
    if not isinstance(content, dict):
        raise ScanError(f"{shown}: got {type(content).__name__}, expected a JSON object; synthesize again")
    return Stack(name, shown, content, locate(text), read_exceptions(file.parent))
