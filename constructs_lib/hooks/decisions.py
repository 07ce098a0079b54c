"""What the scaler decided last of each contract that follows load: one row each, by one request for all."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from constructs_lib.contracts.compiled import Compiled
from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.documents import Documents, Kept
from constructs_lib.hooks.hook import Verdict
from constructs_lib.hooks.platform import Platform

_ASK_SECONDS: Final = 15.0


def decisions(platform: Platform, compiled: Compiled) -> tuple[Verdict, ...]:
    """None where no contract follows load, or nothing can be kept: the platform has no Consul."""
    names = [one.name for one in compiled.contracts if one.instances.scaling]
    consuls = platform.consuls_within(_ASK_SECONDS) if names else {}
    if not consuls:
        return ()
    try:
        kept = Documents(consuls, platform.home).all()
    except ApiError as error:
        return tuple(_row(name, f"what was decided is not known: {error}", sure=False) for name in names)
    return tuple(_told(name, kept.get(name, Kept())) for name in names)


def _told(name: str, kept: Kept) -> Verdict:
    if not kept.why or kept.decided is None:
        return _row(name, "nobody has decided yet; clustermesos scale --every 60 does", sure=False)
    at = datetime.fromtimestamp(kept.decided, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _row(name, f"{kept.count} instances, decided at {at}: {kept.why}")


def _row(name: str, says: str, *, sure: bool = True) -> Verdict:
    return Verdict(kind="scale", name=name, good=True, says=says, sure=sure)
