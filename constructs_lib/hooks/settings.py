"""The contracts' settings in Consul's key/value store, written in every site: it is replicated to none.

Below `clustermesos/` only. What running deployments keep there (routes, their own documents) is not this
hook's: it looks at `clustermesos/settings/` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from constructs_lib.contracts.compiled import KV_PREFIX, Compiled
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.hook import NOT_PRUNED, Change, Verdict

FOLDER: Final = f"{KV_PREFIX}settings/"
State = Mapping[str, Mapping[str, bytes]]
"""Site → key → value."""


class Settings:
    """The hook of key/values; `sites` are the sites' own Consuls."""

    name = "settings"

    def __init__(self, sites: Mapping[str, Consul], compiled: Compiled, *, prune: bool = False) -> None:
        self._sites = sites
        self._wanted: dict[str, tuple[str, bytes]] = {
            FOLDER + key: (contract.name, value.encode())
            for contract in compiled.contracts
            for key, value in contract.settings.items()
        }
        self._prune = prune

    def read(self) -> State:
        """One request per site."""
        return {site: self._below(consul) for site, consul in self._sites.items()}

    @staticmethod
    def _below(consul: Consul) -> Mapping[str, bytes]:
        _, entries = consul.kv.get(FOLDER, recurse=True, consistency="consistent")
        return {str(entry["Key"]): entry["Value"] or b"" for entry in entries or ()}

    def diff(self, state: State) -> Sequence[Change]:
        """By site and key; values are configuration and are shown as their length alone."""
        return tuple(change for site, there in state.items() for change in self._of(site, there))

    def _of(self, site: str, there: Mapping[str, bytes]) -> Iterator[Change]:
        for key, (contract, value) in sorted(self._wanted.items()):
            name = f"{site}:{key}"
            if key not in there:
                yield Change(kind="setting", name=name, action="create", contract=contract)
            elif there[key] != value:
                details = (f"{len(there[key])} → {len(value)} bytes",)
                yield Change(kind="setting", name=name, action="update", contract=contract, details=details)
        for key in sorted(there.keys() - self._wanted.keys()):
            if self._prune:
                yield Change(kind="setting", name=f"{site}:{key}", action="delete")
            else:
                yield Change(kind="setting", name=f"{site}:{key}", action="keep", details=(NOT_PRUNED,))

    def apply(self, state: State, changes: Sequence[Change], say: Callable[[str], None]) -> None:
        """Put and delete, one by one."""
        for change in changes:
            site, _, key = change.name.partition(":")
            if change.action == "delete":
                self._sites[site].kv.delete(key)
            elif change.action in ("create", "update"):
                self._sites[site].kv.put(key, self._wanted[key][1])
            if change.action != "keep":
                say(f"setting {change.name}: {change.action}d")

    def verify(self, state: State) -> Sequence[Verdict]:
        """Every site has all of them."""
        return tuple(
            Verdict(
                kind="setting",
                name=site,
                good=not (missing := [key for key, (_, v) in self._wanted.items() if there.get(key) != v]),
                says=f"{len(missing)} of {len(self._wanted)} are missing" if missing else "all there",
                try_next="clustermesos apply" if missing else None,
            )
            for site, there in state.items()
        )
