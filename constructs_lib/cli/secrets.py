"""`clustermesos secrets`: make the secrets that are missing, list all by name; values are never shown."""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from constructs_lib.cli.output import json_option, print_json
from constructs_lib.plan.lock import Lock, additions, read_lock, write_lock
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.secrets.ensure import NamedState, SecretState, ensure, renew, states, supply
from constructs_lib.spec.load import load
from constructs_lib.spec.terms import app_secret_name
from constructs_lib.spec.workspace import Workspace


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "secrets",
        help="make the secrets that are missing, list all by name",
        description="Make the secrets that cluster.yaml needs and cluster.lock.json does not list "
        "yet, in .clustermesos/secrets.json, and list all by name. A value is never shown.",
        epilog="Exit codes: 0 all are there, 1 --check found some missing, 2 some can't be had or trusted.",
    )
    parser.add_argument(
        "file", nargs="?", type=Path, help="cluster.yaml (default: $CLUSTERMESOS_FILE or ./cluster.yaml)"
    )
    parser.add_argument("--check", action="store_true", help="make nothing, only say what is missing")
    parser.add_argument(
        "--renew",
        nargs="+",
        default=[],
        metavar="NAME",
        help="sign these certificates anew, or make new keys for links between sites (link-keys: all of "
        "them); deploy and `clustermesos nodes apply` take them to the nodes; `clustermesos links rotate` "
        "does all of that for links in one",
    )
    parser.add_argument(
        "--supply",
        metavar="REFERENCE",
        help="take the value of this secret of app_secrets, such as shop/db, from standard input",
    )
    json_option(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Make and list, or only list."""
    workspace = Workspace(arguments.file) if arguments.file else Workspace.find()
    locked = read_lock(workspace.lock_file)
    planned = plan(load(workspace.cluster_file), locked)
    before = states(planned.secrets, planned.lock.secrets, workspace.secrets_file, os.environ)
    if arguments.check:
        _print(before, made="not made yet", as_json=arguments.json)
        return 0 if all(_is_there(secret) for secret in before) else 1
    workspace.make_private()
    if arguments.renew:
        renew(planned.secrets, arguments.renew, workspace.secrets_file, os.environ)
        before = states(planned.secrets, planned.lock.secrets, workspace.secrets_file, os.environ)
    if arguments.supply:
        name = app_secret_name(arguments.supply) if "/" in arguments.supply else arguments.supply
        supply(planned.secrets, name, sys.stdin.read().removesuffix("\n"), workspace.secrets_file)
        before = states(planned.secrets, planned.lock.secrets, workspace.secrets_file, os.environ)
    ensure(planned.secrets, planned.lock.secrets, workspace.secrets_file, os.environ)
    _print(before, made="made", as_json=arguments.json)
    _write_lock(workspace, planned, locked)
    return 0


def _print(secrets: tuple[NamedState, ...], *, made: str, as_json: bool) -> None:
    if as_json:
        print_json({"secrets": [_plain(secret, made) for secret in secrets]})
        return
    width = max((len(secret.name) for secret in secrets), default=0)
    for secret in secrets:
        state = made if secret.state is SecretState.NEW else secret.state
        print(f"{secret.name:<{width}}  {state}{_until(secret)}")


def _plain(secret: NamedState, made: str) -> dict[str, str | None]:
    return {
        "name": secret.name,
        "state": made if secret.state is SecretState.NEW else secret.state.value,
        "valid_until": secret.valid_until.isoformat() if secret.valid_until else None,
    }


def _until(secret: NamedState) -> str:
    if secret.valid_until is None:
        return ""
    from constructs_lib.secrets.certificates import RENEW_BEFORE

    soon = secret.valid_until - datetime.now(UTC) < RENEW_BEFORE
    return f", valid until {secret.valid_until:%Y-%m-%d}" + (f": --renew {secret.name}" if soon else "")


def _is_there(secret: NamedState) -> bool:
    return secret.state in (SecretState.HERE, SecretState.ENVIRONMENT)


def _write_lock(workspace: Workspace, planned: ClusterPlan, locked: Lock | None) -> None:
    lock = planned.lock.with_secrets(secret.name for secret in planned.secrets)
    if lock != locked:
        write_lock(workspace.lock_file, lock)
        new = ", ".join(additions(locked, lock))
        print(f"{workspace.lock_file.name}: added {new}; commit this file", file=sys.stderr)
