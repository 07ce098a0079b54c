"""Keeps restores and deployments of one application apart: any number may deploy it, one alone restores it.

Each writes that it is there before it looks for the other, so that of two that begin in the same moment at
least one sees the other. What a restore wrote stays where it ended without a word, or without anybody knowing
whether the data is whole: nothing starts the application then, until a restore has ended well, or somebody
unlocks it.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from constructs_lib.errors import HookError
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.hook import Verdict
from constructs_lib.hooks.lease import LEASES, Holder, Lease

SECONDS: Final = 30.0
"""Of a lease: who is gone without a word is known to be after this, or twice that."""
_RESTORE, _DEPLOY = "restore/", "deploy/"


class BeingRestoredError(HookError):
    """Nothing may start an application now; `says` is why, `try_next` what helps."""

    def __init__(self, says: str, try_next: str) -> None:
        super().__init__(f"{says}; next: {try_next}")
        self.says, self.try_next = says, try_next


@dataclass(frozen=True, kw_only=True)
class Restore:
    """One that runs, or has ended and left behind what nobody knows to be whole."""

    contract: str
    holder: Holder

    @property
    def runs(self) -> bool:
        """Whether somebody is at it."""
        return self.holder.has

    @property
    def what(self) -> str:
        """Who is at it since when, or was; without the contract's name."""
        who, since = self.holder.who, self.holder.since
        if self.runs:
            return f"{who}, restores its data since {since}"
        of = f" of {' and '.join(self.holder.about)}" if self.holder.about else ""
        ended = "did not end, so nobody knows whether its data is whole"
        return f"the restore{of} that {who}, began at {since} {ended}"

    @property
    def says(self) -> str:
        """Why nothing may start the application."""
        return f"{self.contract}: {self.what}"

    @property
    def verdict(self) -> Verdict:
        """For whoever looks at everything; one that runs is nothing bad in itself."""
        helps = None if self.runs else self.error.try_next
        return Verdict(kind="restore", name=self.contract, good=self.runs, says=self.what, try_next=helps)

    @property
    def error(self) -> BeingRestoredError:
        """For whoever would start it."""
        redo = restore_command(self.contract, next(iter(self.holder.about), ""))
        if self.runs:
            gone = f"where it is gone without a word, {redo} after a minute"
            return BeingRestoredError(self.says, f"wait for its end ({gone})")
        known = f"clustermesos restore {self.contract} --force-unlock, where you know that it is whole"
        return BeingRestoredError(self.says, f"{redo}, which begins by undoing what is half done ({known})")


def restore_command(contract: str, node: str) -> str:
    """What restores it; `node` is empty where it has data in one place alone."""
    return f"clustermesos restore {contract}{f' --node {node}' if node else ''}"


def restores(consul: Consul) -> Mapping[str, Restore]:
    """Contract → the restore that nothing may disturb; one request. ApiError."""
    prefix = f"{LEASES}{_RESTORE}"
    _, entries = consul.kv.get(prefix, recurse=True, consistency="consistent")
    names = {str(entry["Key"]).removeprefix(prefix): entry for entry in entries or ()}
    return {name: Restore(contract=name, holder=Holder.of(entry)) for name, entry in names.items()}


def restore_of(consul: Consul, name: str) -> Restore | None:
    """As `restores`, of one contract."""
    _, entry = consul.kv.get(f"{LEASES}{_RESTORE}{name}", consistency="consistent")
    return Restore(contract=name, holder=Holder.of(entry)) if entry else None


def unlock(consul: Consul, name: str, first: Callable[[], None] = lambda: None) -> Restore:
    """Let others start the application again, on somebody's word; HookError where there is nothing to unlock.

    One that runs keeps it: whoever is gone without a word does not have it for long. `first` is done where
    there is something to unlock, and its HookError leaves it locked.
    """
    key = f"{LEASES}{_RESTORE}{name}"
    _, entry = consul.kv.get(key, consistency="consistent")
    if not entry:
        raise HookError(f"{name}: no restore of it holds anything; nothing was changed")
    found = Restore(contract=name, holder=Holder.of(entry))
    if found.runs:
        raise HookError(f"{found.says}; next: end that one (Ctrl-C), or wait a minute where it is gone")
    first()
    # Somebody may just have begun to restore it.
    if not consul.kv.delete(key, cas=entry["ModifyIndex"]) and (later := restore_of(consul, name)):
        raise HookError(f"{later.says}; nothing was changed")
    return found


class RestoreLease:
    """Of one restore of one contract, or of one of the nodes where it has data of their own."""

    def __init__(self, name: str, *, stays: bool, node: str = "") -> None:
        """`stays` is whether it holds on where it ends without a word: what stopped must not start then."""
        self._name = name
        self._node = node
        self._others: tuple[str, ...] = ()
        """Nodes of which former restores did not end."""
        self._lease = Lease(f"{_RESTORE}{name}", seconds=SECONDS, afterwards="release" if stays else "delete")
        self.left = False
        """Whether a former one did not end, so that the data may not have been whole before this one."""

    def take(self, consul: Consul) -> None:
        """Take it; HookError where somebody restores or deploys the contract."""
        before = restore_of(consul, self._name)
        if before is not None and not before.runs:
            left = before.holder.about
            self.left = self._node in left or not left
            self._others = tuple(one for one in left if one != self._node)
        self._lease.about = (*self._others, *([self._node] if self._node else ()))
        try:
            other = self._lease.take(consul)
        except BaseException:
            # It may have been taken although nobody heard so, and would stay.
            with suppress(HookError):
                self.end(consul, whole=not self.left)
            raise
        if other:
            raise (restore_of(consul, self._name) or before or _gone(self._name, other)).error
        try:
            if there := next(_deploying(consul, self._name), None):
                raise HookError(
                    f"{self._name}: {there.who}, deploys or scales it since {there.since}; next: wait for "
                    f"its end, or halt it (clustermesos pause {self._name}); where it is gone without a "
                    "word, try again after a minute"
                )
        except BaseException:
            self.end(consul, whole=not self.left)
            raise

    def kept(self, another: Consul) -> AbstractContextManager[None]:
        """Renewed in the background, and taken again where it was cut off from Consul for a while."""
        return self._lease.kept(another, again=True)

    def still(self, consul: Consul) -> None:
        """Before what somebody else must not be in the middle of; HookError where somebody may be.

        What it left written when its session ended lets nobody in but another restore, and whoever unlocks.
        """
        if self._lease.again(consul):
            return
        found = restore_of(consul, self._name)
        since = found.says if found else f"{self._name}: somebody has restored or unlocked it since"
        raise HookError(f"{since}; this restore was cut off from Consul for a while, and leaves it to others")

    def end(self, consul: Consul, *, whole: bool) -> None:
        """Give it back; of what is not known to be whole it stays written that it is not.

        `whole` is of what this one restores; nodes that former restores left stay in doubt.
        """
        if whole and not self._others:
            self._lease.erase(consul)
            return
        if whole:
            self._lease.about = self._others
        self._lease.release(consul)


def _gone(name: str, who: str) -> Restore:
    return Restore(contract=name, holder=Holder(who=who, since="some time", has=True))


def _deploying(consul: Consul, name: str) -> Iterator[Holder]:
    _, entries = consul.kv.get(f"{LEASES}{_DEPLOY}{name}/", recurse=True, consistency="consistent")
    return (found for found in map(Holder.of, entries or ()) if found.has)


Still = Callable[[], None]
"""Asked in the middle of a deployment; HookError where it is to stop."""


class Deployments:
    """What deployments say and ask where nobody restores: a platform without Consul."""

    def refuse(self, name: str, *, left: bool = True) -> None:
        """BeingRestoredError where nothing may start it; `left` is whether one counts that did not end."""

    def of(self, name: str) -> AbstractContextManager[Still]:
        """Keeps restores of the contract away as long as the context lasts; BeingRestoredError."""
        return nullcontext(lambda: None)

    def forget(self, name: str) -> None:
        """The contract is gone, and so is what a restore of it left."""


@dataclass
class ConsulDeployments(Deployments):
    """Over the home site's Consul; `impatient` makes a client of its own that nobody waits for."""

    consul: Consul
    impatient: Callable[[], Consul | None] = field(repr=False)

    @cached_property
    def _another(self) -> Consul:
        return self.impatient() or self.consul

    def refuse(self, name: str, *, left: bool = True) -> None:
        """See Deployments."""
        found = restore_of(self.consul, name)
        if found is not None and (found.runs or left):
            raise found.error

    @contextmanager
    def of(self, name: str) -> Iterator[Still]:
        """See Deployments."""
        lease = Lease(f"{_DEPLOY}{name}/{uuid.uuid4()}", seconds=SECONDS, afterwards="delete")

        looked = False

        def begin() -> None:
            nonlocal looked
            looked = False
            lease.take(self.consul)
            self.refuse(name)
            looked = True

        def still() -> None:
            # Whoever asks again after an error has not heard yet that nobody restores it.
            if lease.lost or not looked:
                begin()

        try:
            begin()
            with lease.kept(self._another):
                yield still
        finally:
            # Where that can't be said any more, it runs out by itself.
            with suppress(HookError):
                lease.release(self._another)

    def forget(self, name: str) -> None:
        """See Deployments."""
        self.consul.kv.delete(f"{LEASES}{_RESTORE}{name}")
