"""What contracts leave in Consul's key/value store, written in every site: it is replicated to none.

Settings, alert rules and scrape targets lie below `clustermesos/settings/`, so that one request reads them.
What running deployments keep in `clustermesos/` (routes, their own documents) is not this hook's. Rules and
targets reach Prometheus on the Consul nodes by consul-template there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from constructs_lib.contracts.compiled import KV_PREFIX, LABEL, Compiled, CompiledContract, Json
from constructs_lib.hooks.alert_diff import differences
from constructs_lib.hooks.api_error import AWAY, ApiError
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.hook import NOT_PRUNED, Change, Verdict

FOLDER: Final = f"{KV_PREFIX}settings/"
RULES: Final = f"{FOLDER}prometheus/rules/"
"""Below: a contract's groups of alert rules, a JSON list; the key's end is the contract's name."""
TARGETS: Final = f"{FOLDER}prometheus/targets/"
"""Below: where a contract's metrics are, a JSON list in the form of `file_sd_configs`."""
State = Mapping[str, Mapping[str, bytes]]
"""Site → key → value."""
Wanted = tuple[str | None, bytes]
"""The contract's name, none for the platform itself; and the value."""


class Settings:
    """The hook of key/values; `sites` are the sites' own Consuls."""

    name = "settings"

    def __init__(
        self,
        sites: Mapping[str, Consul],
        compiled: Compiled,
        *,
        platform: Mapping[str, Sequence[Json]] = MappingProxyType({}),
        prune: bool = False,
        home: str | None = None,
    ) -> None:
        """`platform` are the groups of each site's own alert rules, kept beside those of contracts.

        `home` is the site without which nothing is done; None where that is so of every one.
        """
        self._sites = sites
        self._home = home
        self._silent: dict[str, str] = {}
        self._refused: dict[str, list[str]] = {}
        self._wanted: dict[str, dict[str, Wanted]] = {
            site: {
                key: (contract.name, value)
                for contract in compiled.contracts
                for key, value in _values(contract, site)
            }
            | dict(_own(platform.get(site, ())))
            for site in sites
        }
        self._prune = prune

    @property
    def rules(self) -> Mapping[str, Mapping[str, Sequence[Json]]]:
        """Site → contract, `clustermesos` for the platform itself → groups of alert rules, as written."""
        return {
            site: {
                key.removeprefix(RULES): json.loads(value)
                for key, (_, value) in wanted.items()
                if _kind(key) == "rules"
            }
            for site, wanted in self._wanted.items()
        }

    def read(self) -> State:
        """One request per site; those that do not answer are told by `diff` and `verify`."""
        self._silent = {}
        return {site: there for site in self._sites if (there := self._at(site)) is not None}

    def _at(self, site: str) -> Mapping[str, bytes] | None:
        try:
            return self._below(self._sites[site])
        except ApiError as error:
            if error.kind not in AWAY or self._home in (None, site):
                raise
            self._silent[site] = str(error)
            return None

    @staticmethod
    def _below(consul: Consul) -> Mapping[str, bytes]:
        _, entries = consul.kv.get(FOLDER, recurse=True, consistency="consistent")
        return {str(entry["Key"]): entry["Value"] or b"" for entry in entries or ()}

    def diff(self, state: State) -> Sequence[Change]:
        """By site and key; rules by the names of their alerts, other values by the names of their fields."""
        found = (change for site, there in state.items() for change in self._of(site, there))
        return (*found, *(_unread(site, why) for site, why in self._silent.items()))

    def _of(self, site: str, there: Mapping[str, bytes]) -> Iterator[Change]:
        wanted = self._wanted[site]
        for key, (contract, value) in sorted(wanted.items()):
            name, kind = f"{site}:{key}", _kind(key)
            if key not in there:
                details = differences(b"", value) if kind == "rules" else ()
                yield Change(kind=kind, name=name, action="create", contract=contract, details=details)
            elif there[key] != value:
                told = differences if kind == "rules" else _told
                details = told(there[key], value)
                yield Change(kind=kind, name=name, action="update", contract=contract, details=details)
        for key in sorted(there.keys() - wanted.keys()):
            if self._prune:
                yield Change(kind=_kind(key), name=f"{site}:{key}", action="delete")
            else:
                yield Change(kind=_kind(key), name=f"{site}:{key}", action="keep", details=(NOT_PRUNED,))

    def apply(self, state: State, changes: Sequence[Change], say: Callable[[str], None]) -> None:
        """Put and delete, one by one.

        A key that is refused keeps no other from being written, and a silent site no other site's.
        """
        away = set[str]()
        self._refused = {}
        for change in changes:
            site, _, key = change.name.partition(":")
            if change.action == "keep" or site in away:
                continue
            try:
                self._write(site, key, delete=change.action == "delete")
            except ApiError as error:
                self._refused.setdefault(site, []).append(f"{key}: {error}")
                say(f"{change.kind} {change.name}: {error}")
                if error.kind not in ("invalid", "failed"):
                    away.add(site)
            else:
                say(f"{change.kind} {change.name}: {change.action}d")

    def _write(self, site: str, key: str, *, delete: bool) -> None:
        if delete:
            self._sites[site].kv.delete(key)
        else:
            self._sites[site].kv.put(key, self._wanted[site][key][1])

    def verify(self, state: State) -> Sequence[Verdict]:
        """Every site has all of them."""
        silent = (
            Verdict(kind="setting", name=site, good=False, says=why, try_next="clustermesos status")
            for site, why in self._silent.items()
        )
        return (*(self._verdict(site, there) for site, there in state.items()), *silent)

    def _verdict(self, site: str, there: Mapping[str, bytes]) -> Verdict:
        missing = [key for key, (_, value) in self._wanted[site].items() if there.get(key) != value]
        refused = self._refused.get(site, [])
        says = f"{len(missing)} of {len(self._wanted[site])} are missing" if missing else "all there"
        good = not missing and not refused
        return Verdict(
            kind="setting",
            name=site,
            good=good,
            says="; ".join([says, *refused]),
            try_next=None if good else "clustermesos apply",
        )


def _unread(site: str, why: str) -> Change:
    return Change(kind="setting", name=site, action="keep", details=(f"not known: {why}",))


def _told(before: bytes, after: bytes) -> tuple[str, ...]:
    """The fields of a document that change, without their values: those may be anything; else lengths."""
    try:
        old, new = json.loads(before), json.loads(after)
    except ValueError:
        old = new = None
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return (f"{len(before)} → {len(after)} bytes",)
    return tuple(
        f"{name}: changed" for name in sorted(old.keys() | new.keys()) if old.get(name) != new.get(name)
    )


def _own(groups: Sequence[Json]) -> Iterator[tuple[str, Wanted]]:
    """The platform's alert rules; no contract may have this name."""
    if groups:
        yield f"{RULES}{LABEL}", (None, json.dumps(groups, sort_keys=True).encode())


def _values(contract: CompiledContract, site: str) -> Iterator[tuple[str, bytes]]:
    """Whole keys; a contract without rules for the site, or without targets, has no key for them."""
    for key, value in contract.settings.items():
        yield FOLDER + key, value.encode()
    for folder, found in ((RULES, contract.rules_at(site)), (TARGETS, contract.targets)):
        if found:
            yield folder + contract.name, json.dumps(found, sort_keys=True).encode()


def _kind(key: str) -> str:
    return "rules" if key.startswith(RULES) else "targets" if key.startswith(TARGETS) else "setting"
