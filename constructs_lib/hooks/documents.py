"""What a deployment keeps in Consul, as JSON: `clustermesos/routes/NAME`, `clustermesos/deployments/NAME`.

The second is written at the home site alone, by compare-and-set, and so is the lock: who writes second reads
anew. The first is also written at the home site by compare-and-set, then copied to every other site, whose
edges read their own. A copy that is behind is made up for with the next look. Another site than the home
site that does not answer holds up nothing: its copy is not known, and made up for once it answers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, TypeVar

from pydantic import TypeAdapter, ValidationError

from constructs_lib.contracts.compiled import KV_PREFIX, Deployment, Route
from constructs_lib.errors import HookError
from constructs_lib.hooks.api_error import AWAY, ApiError
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.observed import Progress
from constructs_lib.hooks.versions import VERSIONS

ROUTES: Final = f"{KV_PREFIX}routes/"
DEPLOYMENTS: Final = f"{KV_PREFIX}deployments/"
COUNTS: Final = f"{KV_PREFIX}counts/"
Entries = Mapping[str, Mapping[str, Any]]
"""Key → entry, as Consul gives it."""


class ConflictError(HookError):
    """Somebody else wrote a document in between: look again."""


@dataclass(frozen=True, kw_only=True)
class RouteDocument:
    """A route as edges read it. `drain` are ids of services in Consul, or of tasks that have none yet."""

    contract: str
    service: str
    host: str
    path: str
    generation: int = 0
    weights: Mapping[str, int] = field(default_factory=dict)
    drain: tuple[str, ...] = ()
    drain_timeout: float = Deployment.drain_timeout
    on_drain_timeout: Literal["wait", "cut"] = Deployment.on_drain_timeout
    """These two are for nobody but who takes the route away, when the contract that says them may be gone."""

    def leads_to(self, route: Route) -> bool:
        """Whether it is at the contract's host and path."""
        return (self.host, self.path, self.service) == (route.host, route.path, route.service)


@dataclass(frozen=True, kw_only=True)
class Kept:
    """All that is kept for one contract; an index of 0 means that there is no document yet."""

    progress: Progress = field(default_factory=Progress)
    progress_index: int = 0
    route: RouteDocument | None = None
    route_index: int = 0
    behind: tuple[str, ...] = ()
    """Sites whose copy of the route is another one."""
    silent: Mapping[str, str] = field(default_factory=dict)
    """Site whose Consul does not answer, so that its copy is not known → what is wrong."""
    count: int | None = None
    """What the scaler chose."""
    counted: float | None = None
    """When it chose another number than before, in seconds since 1970."""
    why: str = ""
    """How its last decision came about."""
    decided: float | None = None
    """When it decided last, in seconds since 1970."""


class LocalStore:
    """In place of a Consul where a platform has none, for as long as the process lasts."""

    def __init__(self) -> None:
        self.kv = self
        self._entries: dict[str, dict[str, Any]] = {}
        self._writes = 0

    def get(self, key: str, *, recurse: bool = False, **_: Any) -> tuple[int, Any]:
        """As py-consul's."""
        if not recurse:
            return self._writes, self._entries.get(key)
        return self._writes, [entry for name, entry in self._entries.items() if name.startswith(key)]

    def put(self, key: str, value: str, cas: int | None = None) -> bool:
        """As py-consul's."""
        if cas is not None and cas != self._entries.get(key, {}).get("ModifyIndex", 0):
            return False
        self._writes += 1
        self._entries[key] = {"Key": key, "Value": value.encode(), "ModifyIndex": self._writes}
        return True

    def delete(self, key: str) -> bool:
        """As py-consul's."""
        return self._entries.pop(key, None) is not None


class Documents:
    """The documents of all contracts; `sites` are the sites' Consuls, `home` the name of the first one."""

    def __init__(self, sites: Mapping[str, Consul | LocalStore], home: str) -> None:
        self._sites = sites
        self.home = home

    def all(self) -> dict[str, Kept]:
        """By contract: one request for the home site, and one for each other one."""
        home = self._below(self.home, KV_PREFIX)
        copies, silent = self._copies(lambda site: self._below(site, ROUTES))
        kept = (ROUTES, DEPLOYMENTS, COUNTS, VERSIONS)
        names = {_name(key) for key in home if key.startswith(kept)}
        return {name: self._kept(name, home, copies, silent) for name in sorted(names)}

    def of(self, name: str) -> Kept:
        """Of one contract."""
        # The home site's first: the others may take time.
        home = {
            key: entry
            for folder in (ROUTES, DEPLOYMENTS, COUNTS)
            for key, entry in self._one(self.home, f"{folder}{name}").items()
        }
        copies, silent = self._copies(lambda site: self._one(site, f"{ROUTES}{name}"))
        return self._kept(name, home, copies, silent)

    def _copies(self, read: Callable[[str], Entries]) -> tuple[Mapping[str, Entries], Mapping[str, str]]:
        """What every other site has, and what is wrong with those that do not answer."""
        copies: dict[str, Entries] = {}
        silent: dict[str, str] = {}
        for site in self._elsewhere:
            try:
                copies[site] = read(site)
            except ApiError as error:
                if error.kind not in AWAY:
                    raise
                silent[site] = error.said
        return copies, silent

    @property
    def _elsewhere(self) -> list[str]:
        return [site for site in self._sites if site != self.home]

    def store_progress(self, name: str, progress: Progress, index: int) -> None:
        """ConflictError where somebody wrote since `index`."""
        self._put(self.home, f"{DEPLOYMENTS}{name}", asdict(progress), index)

    def store_route(self, route: RouteDocument, index: int) -> None:
        """At home, then wherever a site answers; ConflictError where somebody wrote since `index`."""
        self._put(self.home, f"{ROUTES}{route.contract}", asdict(route), index)
        self.copy_route(route, self._elsewhere)

    def copy_route(self, route: RouteDocument, sites: Iterable[str]) -> None:
        """Make these sites' copies the same; one that does not answer stays behind."""
        for site in sites:
            try:
                self._sites[site].kv.put(f"{ROUTES}{route.contract}", _text(asdict(route)))
            except ApiError as error:
                if error.kind not in AWAY:
                    raise

    def store_count(
        self,
        name: str,
        count: int,
        at: float | None = None,
        *,
        why: str = "",
        decided: float | None = None,
    ) -> None:
        """What the scaler chose, and when; a deployment never resets it. With its last decision."""
        document = {"count": count, "at": at, "why": why, "decided": decided}
        self._sites[self.home].kv.put(f"{COUNTS}{name}", _text(document))

    def forget_route(self, name: str) -> None:
        """No edge answers for the contract any longer; ApiError where a site does not answer."""
        # The home site's last: what is gone there is not looked for anywhere.
        for site in (*self._elsewhere, self.home):
            self._sites[site].kv.delete(f"{ROUTES}{name}")

    def forget(self, name: str) -> None:
        """Nothing is kept of the contract."""
        self.forget_route(name)
        for folder in (DEPLOYMENTS, COUNTS, VERSIONS):
            self._sites[self.home].kv.delete(f"{folder}{name}")

    def _put(self, site: str, key: str, document: Mapping[str, Any], index: int) -> None:
        if not self._sites[site].kv.put(key, _text(document), cas=index):
            raise ConflictError(f"{key}: somebody else wrote it in between")

    def _below(self, site: str, prefix: str) -> dict[str, Mapping[str, Any]]:
        _, entries = self._sites[site].kv.get(prefix, recurse=True, consistency="consistent")
        return {str(entry["Key"]): entry for entry in entries or ()}

    def _one(self, site: str, key: str) -> dict[str, Mapping[str, Any]]:
        _, entry = self._sites[site].kv.get(key, consistency="consistent")
        return {key: entry} if entry else {}

    def _kept(
        self, name: str, home: Entries, copies: Mapping[str, Entries], silent: Mapping[str, str]
    ) -> Kept:
        progress, route = home.get(f"{DEPLOYMENTS}{name}"), home.get(f"{ROUTES}{name}")
        value = route["Value"] if route else None
        key = f"{ROUTES}{name}"
        behind = (site for site, there in copies.items() if (there.get(key) or {}).get("Value") != value)
        chosen = _read(_COUNT, home.get(f"{COUNTS}{name}")) or _Count()
        return Kept(
            progress=_read(_PROGRESS, progress) or Progress(),
            progress_index=int(progress["ModifyIndex"]) if progress else 0,
            route=_read(_ROUTE, route),
            route_index=int(route["ModifyIndex"]) if route else 0,
            behind=tuple(behind) if route else (),
            silent=silent,
            count=chosen.count,
            counted=chosen.at,
            why=chosen.why,
            decided=chosen.decided,
        )


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _text(document: Mapping[str, Any]) -> str:
    return json.dumps(document, sort_keys=True)


@dataclass(frozen=True, kw_only=True)
class _Count:
    """What the scaler keeps."""

    count: int | None = None
    at: float | None = None
    why: str = ""
    decided: float | None = None


Document = TypeVar("Document")
_PROGRESS, _ROUTE, _COUNT = TypeAdapter(Progress), TypeAdapter(RouteDocument), TypeAdapter(_Count)


def _read(kind: TypeAdapter[Document], entry: Mapping[str, Any] | None) -> Document | None:
    """A document; None of one that somebody broke by hand, in its types too: it is written anew."""
    try:
        return kind.validate_json((entry or {}).get("Value") or b"", strict=True)
    except ValidationError:
        return None
