"""`clustermesos`: one module a command, imported only when it is asked for, so that each starts fast."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from constructs_lib.errors import ClusterMesosError

COMMANDS = {
    "check": "report every problem in cluster.yaml and contracts",
    "schema": "print the JSON Schema of cluster.yaml or of contracts, for editors",
    "secrets": "make the secrets that are missing, list all by name",
    "synth": "write cdktf.out from cluster.yaml",
    "show": "print what was deployed: nodes, addresses, endpoints, how to log in",
    "plan": "show what apply would change in applications, jobs and settings",
    "apply": "make applications, backup jobs and settings what the contracts say",
    "promote": "let a canary through, and go on with its deployment",
    "pause": "halt a contract's deployment where it is",
    "resume": "go on with a deployment that was paused",
    "scale": "let the number of instances follow load",
    "explain": "tell why an application is not served, agent by agent",
    "rollback": "go back to the version of an application that was good before",
    "backups": "list backup jobs and how they ended last",
    "restore": "put a backup of an application's data back",
    "status": "tell whether the platform is ready",
    "scan": "check the synthesized stacks against policies",
    "nodes": "plan and apply changed files, units, packages and secrets on nodes that run",
    "roll": "replace masters, or a pool's agents, one at a time",
    "simulate": "answer as Mesos, Marathon and Chronos would, on this computer, with simulated tasks",
    "lab": "boot the cluster's nodes as machines on this computer",
}
"""Name → what it does; each is the module of the same name beside this one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns 0 for fine, 1 for failed, 2 for wrong input."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = _parser(arguments)
    parsed = parser.parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
    except ClusterMesosError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # The reader went away (`clustermesos schema | head`); keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return code


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="clustermesos", description="One cluster.yaml becomes a running Mesos platform."
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    wanted = next((argument for argument in arguments if argument in COMMANDS), None)
    for name, summary in COMMANDS.items():
        if wanted is None or name == wanted:
            if wanted is None:
                commands.add_parser(name, help=summary)
            else:
                importlib.import_module(f"constructs_lib.cli.{name}").add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
