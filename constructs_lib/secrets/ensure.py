"""Every secret that the plan names, from the environment, from the store, or new; and the file for Terraform.

New ones are made only for names that the lock does not list: another value for a listed name would change the
credentials of a cluster that runs.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from constructs_lib.errors import SecretsError
from constructs_lib.plan.model import PlannedSecret
from constructs_lib.secrets.store import locked, read_store, write_private, write_store
from constructs_lib.secrets.values import new_secret, private_half

TFVARS_FILE = "secrets.auto.tfvars.json"
"""Terraform reads it by itself, and it wins over TF_VAR_…, without a word."""
VARIABLE_PREFIX = "TF_VAR_"
_PASSWORD = re.compile(r"[A-Za-z0-9._~-]+")


class SecretState(StrEnum):
    """Where a planned secret's value is."""

    ENVIRONMENT = "from environment"
    HERE = "here"
    NEW = "not made yet"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True)
class NamedState:
    """A planned secret and where its value is; never the value."""

    name: str
    state: SecretState
    valid_until: datetime | None = None
    """When the certificate that is here ends (UTC)."""


def states(
    secrets: Iterable[PlannedSecret], lock_names: Collection[str], store: Path, environ: Mapping[str, str]
) -> tuple[NamedState, ...]:
    """The state of every planned secret; makes nothing. SecretsError when the store can't be trusted."""
    held = read_store(store)
    return tuple(
        NamedState(
            name=secret.name,
            state=_state(secret, held, lock_names, environ),
            valid_until=_valid_until(secret, held.get(secret.name)),
        )
        for secret in secrets
    )


LINK_KEYS = "link-keys"
"""Stands for the keys of all links between sites where names are given."""
_RENEWED = ("certificate", "wireguard_key")


def renew(
    secrets: Iterable[PlannedSecret], names: Collection[str], store: Path, environ: Mapping[str, str]
) -> None:
    """Sign the named certificates anew, by the authority that is in the store, and make new keys of links.

    A key's public half goes with it. Nothing else may be renewed: SecretsError when a name is another
    secret's, when the environment supplies it, or when the authority is not here.
    """
    known = {secret.name: secret for secret in secrets}
    possible = sorted(name for name, secret in known.items() if secret.declared.kind in _RENEWED)
    links = [name for name in possible if known[name].declared.kind == "wireguard_key"]
    wanted = {*names} - {LINK_KEYS} | {*(links if LINK_KEYS in names else ())}
    if wrong := sorted(wanted - set(possible)) or (LINK_KEYS in names and not links and [LINK_KEYS]):
        allowed = ", ".join([*possible, *([LINK_KEYS] if links else [])]) or "there is none"
        raise SecretsError(
            f"--renew: got {', '.join(wrong)}, expected a certificate or a link's key: {allowed}"
        )
    if supplied := sorted(name for name in wanted if f"{VARIABLE_PREFIX}{name}" in environ):
        raise SecretsError(
            f"--renew: {', '.join(supplied)}: the environment supplies it (TF_VAR_…), and what is made here "
            "would never be used; renew it where the environment has it from, or unset the variable"
        )
    with locked(store):
        held = read_store(store)
        signers = {known[name].declared.signed_by for name in wanted} - {None}
        lacking = sorted(str(signer) for signer in signers if signer not in held)
        if lacking:
            raise SecretsError(
                f"{', '.join(lacking)}: not in {store}, and only it can sign; get it from whoever keeps it"
            )
        for name in wanted:
            held = held | {name: new_secret(known[name], held)}
        halves = [s for s in known.values() if s.declared.kind == "wireguard_public_key"]
        held = held | {half.name: new_secret(half, held) for half in halves if private_half(half) in wanted}
        write_store(store, held)


def ensure(
    secrets: Iterable[PlannedSecret],
    lock_names: Collection[str],
    store: Path,
    environ: Mapping[str, str],
    *,
    make: Callable[[PlannedSecret, Mapping[str, str]], str] = new_secret,
) -> Mapping[str, str]:
    """Make what may be made; name → value of all that the environment does not supply.

    `store` is secrets.json, in a folder that exists with mode 0700. Safe to run twice at once. SecretsError
    when a name that the lock lists is supplied by nobody, or when the store can't be trusted.
    """
    wanted = tuple(secrets)
    with locked(store):
        held = read_store(store)
        found = {secret.name: _state(secret, held, lock_names, environ) for secret in wanted}
        missing = [secret for secret in wanted if _is_missed(secret, wanted, found)]
        if missing:
            raise SecretsError(_missing(missing, store))
        new = _new(wanted, found, held, environ, make)
        if new:
            held = held | new
            write_store(store, held)
    return {name: held[name] for name in found if name in held and found[name] is not SecretState.ENVIRONMENT}


def _valid_until(secret: PlannedSecret, value: str | None) -> datetime | None:
    if value is None or secret.declared.kind not in ("authority", "certificate"):
        return None
    from constructs_lib.secrets.certificates import expires

    return expires(value)


def _is_missed(
    secret: PlannedSecret, wanted: Iterable[PlannedSecret], found: Mapping[str, SecretState]
) -> bool:
    """An authority is for what it signs: where all of that is there, its key may stay somewhere safer."""
    signs = [other for other in wanted if other.declared.signed_by == secret.declared.name]
    needed = bool(secret.declared.roles) or any(found[other.name] is SecretState.NEW for other in signs)
    return needed and found[secret.name] is SecretState.MISSING


def _new(
    wanted: Iterable[PlannedSecret],
    found: Mapping[str, SecretState],
    held: Mapping[str, str],
    environ: Mapping[str, str],
    make: Callable[[PlannedSecret, Mapping[str, str]], str],
) -> dict[str, str]:
    """Values of what is new; authorities first, since they sign others."""
    new: dict[str, str] = {}
    supplied = {
        name: environ[f"{VARIABLE_PREFIX}{name}"] for name in found if f"{VARIABLE_PREFIX}{name}" in environ
    }
    for secret in sorted(wanted, key=lambda secret: secret.declared.signed_by is not None):
        if found[secret.name] is SecretState.NEW:
            new[secret.name] = make(secret, {**held, **supplied, **new})
    return new


def write_tfvars(folder: Path, values: Mapping[str, str]) -> Path:
    """Write a stack's 0600 file of Terraform variables; without values an old one is removed."""
    path = folder / TFVARS_FILE
    if values:
        write_private(path, json.dumps(dict(sorted(values.items())), indent=2) + "\n")
    else:
        path.unlink(missing_ok=True)
    return path


def _state(
    secret: PlannedSecret, held: Mapping[str, str], lock_names: Collection[str], environ: Mapping[str, str]
) -> SecretState:
    name, variable = secret.name, f"{VARIABLE_PREFIX}{secret.name}"
    if variable in environ:
        if not environ[variable]:
            raise SecretsError(f"{variable}: is set, but empty; give it the secret's value or unset it")
        if secret.declared.kind == "password" and not _PASSWORD.fullmatch(environ[variable]):
            raise SecretsError(
                f"{variable}: got a password with other characters (not shown), expected letters, digits and "
                ". _ ~ - alone, since nodes write it into addresses and JSON; choose another one"
            )
        return SecretState.ENVIRONMENT
    if name in held:
        return SecretState.HERE
    never_made = secret.declared.kind == "supplied"
    return SecretState.MISSING if never_made or name in lock_names else SecretState.NEW


def _missing(secrets: list[PlannedSecret], store: Path) -> str:
    supplied = [secret.name for secret in secrets if secret.declared.kind == "supplied"]
    made = [secret.name for secret in secrets if secret.declared.kind != "supplied"]
    return "\n".join(([_not_supplied(supplied)] if supplied else []) + ([_lost(made, store)] if made else []))


def _not_supplied(names: list[str]) -> str:
    variables = ", ".join(f"{VARIABLE_PREFIX}{name}" for name in names)
    return (
        f"secrets of applications that nobody supplied: {', '.join(names)}. Put each into the store, "
        f"`clustermesos secrets --supply {names[0]} < FILE`, or set {variables}; or let a password be made: "
        "`made: true` in cluster.yaml's app_secrets"
    )


def supply(secrets: Iterable[PlannedSecret], name: str, value: str, store: Path) -> None:
    """Put an application's secret into the store, in place of what is there; SecretsError for any other."""
    known = [secret.name for secret in secrets if secret.pools is not None]
    if name not in known:
        allowed = ", ".join(known) or "there is none"
        raise SecretsError(f"--supply: got {name}, expected a secret of app_secrets: {allowed}")
    if not value or "\0" in value:
        raise SecretsError(f"--supply: got nothing for {name}, expected its value on standard input")
    with locked(store):
        write_store(store, read_store(store) | {name: value})


def _lost(names: list[str], store: Path) -> str:
    variables = ", ".join(f"{VARIABLE_PREFIX}{name}" for name in names)
    return (
        f"missing secrets: {', '.join(names)}. cluster.lock.json lists them as made, so none is made anew, "
        "which would lock out the cluster that uses them. "
        f"Get {store.name} from the operator who has it (put it at {store}, mode 0600), or set {variables}. "
        "If the cluster never ran, delete the names from the lock."
    )
