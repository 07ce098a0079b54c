"""`clustermesos`: one module a command, imported only when it is asked for, so that each starts fast."""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from constructs_lib.cli.output import asks_for_json, print_error, print_failure
from constructs_lib.cli.parser import Parser, UsageExit, teach
from constructs_lib.errors import ClusterMesosError

ABOUT = """\
One cluster.yaml becomes a running Mesos platform; contracts/*.yaml become applications on it.

Begin with `clustermesos check` beside a cluster.yaml; `clustermesos COMMAND --help` has options and \
examples."""
ENDS = """\
Exit codes: 0 fine, 1 failed or not as it should be, 2 wrong input, 130 interrupted (Ctrl-C, SIGTERM, \
SIGHUP). Two commands that compare have more: `plan --exit-code` ends with 3, and `nodes plan` with 2, where \
something would change.

With --json standard output is one JSON document, of a failure too, of a wrong call (2) and Ctrl-C (130): \
{"good": false, "error": "…", "exit_code": 2}; progress and errors go to standard \
error. Colours are for terminals alone, and never where NO_COLOR is set.

Variables: CLUSTERMESOS_FILE names the cluster.yaml, CLUSTERMESOS_SIMULATOR a simulator's file, \
CLUSTERMESOS_SSH_KEY the key to log in with."""

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
    "backups": "list backups, applications' and the platform's own, and how they ended last",
    "restore": "put a backup of an application's data back",
    "status": "tell whether the platform is ready",
    "scan": "check the synthesized stacks against policies",
    "nodes": "plan and apply changed files, units, packages and secrets on nodes that run",
    "links": "change the keys of the links between sites",
    "roll": "replace masters, or a pool's agents, one at a time",
    "simulate": "answer as Mesos, Marathon and Chronos would, on this computer, with simulated tasks",
    "lab": "boot the cluster's nodes as machines on this computer",
}
"""Name → what it does; each is the module of the same name beside this one."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code, as ENDS lists them. SystemExit where it is not understood."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    as_json = asks_for_json(arguments)
    try:
        parsed = _parser(arguments).parse_args(arguments)
        as_json = getattr(parsed, "json", False)
        with _signals_interrupt():
            code: int = parsed.run(parsed)
    except ClusterMesosError as error:
        return print_error(error, as_json=as_json)
    except UsageExit as wrong:
        if as_json:
            print_failure(wrong.said, wrong.exit_code)
        raise
    except BrokenPipeError:
        # The reader went away (`clustermesos schema | head`); keep the interpreter from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        # A login that broke off has no terminal any longer.
        with suppress(OSError):
            print("interrupted", file=sys.stderr, flush=True)
        if as_json:
            print_failure("interrupted", 130)
        return 130
    return code


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a login that broke off, end a command as Ctrl-C does, which tidies up.

    One that is ignored (nohup) stays so, and each counts once: what it ends is not to be cut short.
    """

    def interrupt(number: int, _frame: object) -> None:
        # Not SIG_IGN, which programs that are started from here would inherit.
        signal.signal(number, lambda *_: None)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    mine = [one for one in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) is signal.SIG_DFL]
    for one in mine:
        signal.signal(one, interrupt)
    try:
        yield
    finally:
        for one in mine:
            signal.signal(one, signal.SIG_DFL)


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(prog="clustermesos", description=ABOUT, epilog=ENDS)
    asked = "--version" in arguments
    parser.add_argument("--version", action="version", version=f"%(prog)s {_version() if asked else ''}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True, parser_class=Parser)
    wanted = next((argument for argument in arguments if not argument.startswith("-")), None)
    if wanted in COMMANDS:
        importlib.import_module(f"constructs_lib.cli.{wanted}").add_parser(commands)
        teach(commands.choices[wanted], wanted)
    else:
        for name, summary in COMMANDS.items():
            commands.add_parser(name, help=summary)
    return parser


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("clustermesos")
    except PackageNotFoundError:
        return "from a clone"


if __name__ == "__main__":
    sys.exit(main())
