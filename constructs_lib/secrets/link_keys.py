"""New keys of the links between sites, kept beside the store until every gateway has them.

`secrets.json` has the keys that are in force, for Terraform and for whoever compares nodes with it. So new
ones wait in a file of their own, which an interrupted change is gone on with, and move when all is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from constructs_lib.errors import SecretsError
from constructs_lib.plan.model import PlannedSecret
from constructs_lib.secrets.ensure import TFVARS_FILE, VARIABLE_PREFIX, write_tfvars
from constructs_lib.secrets.store import locked, read_store, write_store
from constructs_lib.secrets.values import new_secret

NEXT_FILE = "link-keys.json"
"""Beside secrets.json and like it; it is there while a change of keys is under way."""
KINDS = ("wireguard_key", "wireguard_public_key")


def link_keys(secrets: Iterable[PlannedSecret], environ: Mapping[str, str]) -> tuple[PlannedSecret, ...]:
    """The planned keys of links, private ones first; SecretsError where there is none or one is not ours."""
    found = sorted(
        (s for s in secrets if s.declared.kind in KINDS), key=lambda s: KINDS.index(s.declared.kind)
    )
    if not found:
        raise SecretsError("links: got a cluster of one site, expected several: there is no link and no key")
    if supplied := [s.name for s in found if f"{VARIABLE_PREFIX}{s.name}" in environ]:
        raise SecretsError(
            f"{', '.join(supplied)}: the environment supplies it (TF_VAR_…), and the next deploy would bring "
            "that one back; change it where the environment has it from, or unset the variable"
        )
    return tuple(found)


def begun(keys: Iterable[PlannedSecret], store: Path) -> dict[str, str]:
    """Name → value of a change that was begun and is not over, empty where there is none.

    A site that joined meanwhile keeps the keys that the store has.
    """
    following = read_store(store.with_name(NEXT_FILE))
    held = read_store(store)
    return {key.name: following.get(key.name) or held[key.name] for key in keys} if following else {}


def begin(keys: Iterable[PlannedSecret], store: Path) -> dict[str, str]:
    """Make new ones, and write them down before anybody gets one; name → value."""
    new: dict[str, str] = {}
    for key in keys:
        new[key.name] = new_secret(key, new)
    write_store(store.with_name(NEXT_FILE), new)
    return new


def finish(values: Mapping[str, str], store: Path, stacks: Iterable[Path] = ()) -> None:
    """They are in force: into the store, and into the variables of the synthesized `stacks`, from which a
    deploy takes them. A stack's file gets no name that it has not.
    """
    with locked(store):
        write_store(store, read_store(store) | dict(values))
    for folder in stacks:
        _renew_variables(folder, values)
    store.with_name(NEXT_FILE).unlink(missing_ok=True)


def _renew_variables(folder: Path, values: Mapping[str, str]) -> None:
    file = folder / TFVARS_FILE
    try:
        there = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise SecretsError(f"{file}: can't be read ({error}); run: clustermesos synth") from None
    write_tfvars(folder, {name: values.get(name, value) for name, value in there.items()})
