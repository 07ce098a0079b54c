"""What synth leaves beside the stacks for the policy scan and for a plain `checkov -d cdktf.out`.

    cdktf.out/stacks/<stack>/policy-exceptions.json   what this stack's constructs accepted, and why
    cdktf.out/.checkov.yaml                           read by checkov when that folder is what it scans

Nothing here knows checkov or the engine: it runs at every synth.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from constructs_lib.errors import ScanError
from constructs_lib.scan.layout import addresses
from constructs_lib.terraform.policy import PolicyException

EXCEPTIONS_FILE = "policy-exceptions.json"
CONFIG_FILE = ".checkov.yaml"
STACK_FILE = "cdk.tf.json"

_MARK = "# Written at synth"
_HEAD = f"""{_MARK}: checkov reads this file when it scans this folder.
# Skipped are only checks that were accepted, each with its reason, for every resource they concern here;
# `clustermesos scan` runs them all and lists the reasons.
framework:
  - terraform_json
skip-download: true
"""


def write_policy_files(outdir: Path, exceptions: Mapping[str, Sequence[PolicyException]]) -> None:
    """Write each stack's exceptions (by its folder's name in `outdir/stacks`) and checkov's configuration.

    To be called after the app was synthesized, with every stack in it:
    `{name: exceptions_of(stack)}`. The same input gives the same bytes.
    """
    kinds: dict[tuple[str, str], str] = {}
    for name, accepted in exceptions.items():
        folder = outdir / "stacks" / name
        document = {"exceptions": [vars(exception) for exception in sorted(accepted)]}
        (folder / EXCEPTIONS_FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        stack = json.loads((folder / STACK_FILE).read_text(encoding="utf-8"))
        kinds.update(((name, address), kind) for address, kind, _ in addresses(stack))
    skipped = checks_to_skip(kinds, exceptions)
    (outdir / CONFIG_FILE).write_text(_config(skipped), encoding="utf-8")


def checks_to_skip(
    kinds: Mapping[tuple[str, str], str], exceptions: Mapping[str, Sequence[PolicyException]]
) -> tuple[str, ...]:
    """The checks accepted for every resource that they concern; `kinds` is (stack, address) → resource type.

    A check concerns the types it was accepted for, and those that checkov's own list names beside them.
    """
    accepted: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for stack, of_stack in exceptions.items():
        for exception in of_stack:
            accepted[exception.check].add((stack, exception.address))
    listed = _several_kinds() if accepted else {}
    skipped = []
    for check, places in sorted(accepted.items()):
        concerned = {kinds[place] for place in places if place in kinds} | set(listed.get(check, ()))
        if all(place in places for place, kind in kinds.items() if kind in concerned):
            skipped.append(check)
    return tuple(skipped)


def read_exceptions(folder: Path) -> tuple[PolicyException, ...]:
    """What was accepted for the stack in `folder`; nothing for a stack that was made by somebody else.

    ScanError when the file is not one that `write_policy_files` wrote.
    """
    file = folder / EXCEPTIONS_FILE
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        return tuple(sorted(PolicyException(**entry) for entry in document["exceptions"]))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ScanError(f"{file}: is not a list of policy exceptions ({error}); synthesize again") from None


def read_skipped(outdir: Path) -> tuple[str, ...]:
    """The checks that the generated configuration skips; none without one, or when it is the user's own."""
    try:
        text = (outdir / CONFIG_FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ()
    if not text.startswith(_MARK):
        return ()
    _, _, listed = text.partition("skip-check:\n")
    return tuple(line.removeprefix("  - ") for line in listed.splitlines() if line.startswith("  - "))


def _config(skipped: Iterable[str]) -> str:
    lines = "".join(f"  - {check}\n" for check in skipped)
    return f"{_HEAD}skip-check:\n{lines}" if lines else _HEAD


def _several_kinds() -> Mapping[str, Sequence[str]]:
    """Check → resource types, for checks that look at each resource alone and at more than one type."""
    # Not by importlib.resources, whose import alone takes 30 ms of every synth.
    text = Path(__file__).with_name("several_kinds.json").read_text(encoding="utf-8")
    kinds: Mapping[str, Sequence[str]] = json.loads(text)["checks"]
    return kinds
