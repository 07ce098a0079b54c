"""The script in the program's place, where that and more travels beside user data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from constructs_lib.errors import RenderError
from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.carried import MARK, bundle, digest
from constructs_lib.nodes.generation import INCOMING, SecretSource
from constructs_lib.nodes.model import NodeFile, NodeFiles

PROGRAM = "/usr/local/sbin/clustermesos-apply"
APPLY = f"{INCOMING}/files{PROGRAM}"
BUNDLE = "/var/lib/clustermesos/carried"
"""Where the bundle lies until the node has its files."""
_NOT_THERE = (
    "clustermesos-apply: what came with this machine is not the program that its files were made with; "
    "make the machine anew: clustermesos roll, or terraform apply -replace"
)


def arrival(files: NodeFiles, source: SecretSource) -> list[NodeFile]:
    """Stands where the program belongs, and asks for the very bundle that these files were rendered with.

    What comes with the machine is there at once or never, so that is asked for once (exit code 2).
    RenderError where a file that is carried has another text on this node.
    """
    if not source.carried:
        return []
    here = [file.path for file in files.files if file.path in source.carried]
    for path in here:
        if shipped(path, files.file(path).content) != source.carried[path]:
            raise RenderError(f"{path}: carried beside user data, it has to be the same on all nodes")
    script = (
        "#!/bin/sh\nset -e\n"
        f"arrived() {{ echo '{digest(bundle(source.carried))}  {BUNDLE}' | sha256sum --check --quiet; }}\n"
        f"{_found_at_once(source) if source.comes_with_machine else _asked_for(source)}"
        f"{_unbundled(here)}"
        # In one step: a power cut leaves this script or the program.
        f"install -m 755 {APPLY} {PROGRAM}.new\n"
        "sync\n"
        f"mv {PROGRAM}.new {PROGRAM}\n"
        f'exec {PROGRAM} "$@"\n'
    )
    return [NodeFile(path=PROGRAM, content=script, mode=0o755)]


def _asked_for(source: SecretSource) -> str:
    return (
        "for _ in $(seq 180); do\n"
        f"  {{ {source.bundle}; }} >{BUNDLE} && arrived && break\n"
        "  sleep 10\n"
        "done\n"
        "arrived\n"
    )


def _found_at_once(source: SecretSource) -> str:
    return (
        f"if ! {{ {{ {source.bundle}; }} >{BUNDLE} && arrived; }}; then\n"
        f"  echo '{_NOT_THERE}' >&2\n"
        "  exit 2\n"
        "fi\n"
    )


def _unbundled(here: Sequence[str]) -> str:
    """Puts these files of the bundle into the generation that waits, and no others: it would not be whole."""
    folders = " ".join(dict.fromkeys(f".{PurePosixPath(path).parent}" for path in here))
    wanted = " ".join(f".{path}" for path in here)
    return (
        f"cd {INCOMING}/files\n"
        f"mkdir -p {folders}\n"
        f"awk -v here=' {wanted} ' '\n"
        f'/^{MARK}/ {{ to = "." substr($0, {len(MARK) + 1})\n'
        '  if (!index(here, " " to " ")) to = "/dev/null"\n'
        "  next }\n"
        f"{{ print >to }}' {BUNDLE}\n"
        f"rm {BUNDLE}\n"
    )
