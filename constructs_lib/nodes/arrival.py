"""The script in the program's place, where user data is too small for clustermesos-apply itself."""

from __future__ import annotations

import hashlib

from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.generation import INCOMING, SecretSource
from constructs_lib.nodes.model import NodeFile, NodeFiles

PROGRAM = "/usr/local/sbin/clustermesos-apply"
APPLY = f"{INCOMING}/files{PROGRAM}"
_NOT_THERE = (
    "clustermesos-apply: what came with this machine is not the program that its files were made with; "
    "make the machine anew: clustermesos roll, or terraform apply -replace"
)


def arrival(files: NodeFiles, source: SecretSource) -> list[NodeFile]:
    """Stands where the program belongs, and asks for the very one that these files were rendered with.

    What comes with the machine is there at once or never, so that is asked for once (exit code 2).
    """
    if not source.program:
        return []
    program = shipped(APPLY, files.file(PROGRAM).content)
    digest = hashlib.sha256(program.encode()).hexdigest()
    script = (
        "#!/bin/sh\nset -e\n"
        f"apply={APPLY}\n"
        f"arrived() {{ echo '{digest}  '$apply | sha256sum --check --quiet; }}\n"
        f"{_found_at_once(source) if source.comes_with_machine else _asked_for(source)}"
        # In one step: a power cut leaves this script or the program.
        f"install -m 755 $apply {PROGRAM}.new\n"
        "sync\n"
        f"mv {PROGRAM}.new {PROGRAM}\n"
        f'exec {PROGRAM} "$@"\n'
    )
    return [NodeFile(path=PROGRAM, content=script, mode=0o755)]


def _asked_for(source: SecretSource) -> str:
    return (
        "for _ in $(seq 180); do\n"
        f"  {{ {source.program}; }} >$apply && arrived && break\n"
        "  sleep 10\n"
        "done\n"
        "arrived\n"
    )


def _found_at_once(source: SecretSource) -> str:
    return (
        f"if ! {{ {{ {source.program}; }} >$apply && arrived; }}; then\n"
        f"  echo '{_NOT_THERE}' >&2\n"
        "  exit 2\n"
        "fi\n"
    )
