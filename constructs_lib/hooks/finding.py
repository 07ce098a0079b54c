"""What a question about the platform is asked with, and what it is answered by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from typing import TypeVar

from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints
from constructs_lib.hooks.http import Client, Target

_AT_ONCE = 8
One = TypeVar("One")
Said = TypeVar("Said")


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The answer to one question. `says` is what was seen, `try_next` what helps where it is not good."""

    check: str
    good: bool
    says: str
    try_next: str | None = None
    sites: tuple[str, ...] = ()
    """The sites that alone are concerned where it is not good; none where the whole platform is."""
    enough: bool = False
    """Whether an urgent change can be made although it is not good."""
    sure: bool = True
    """False of what is not good, and was gone on without: tables mark it with a question mark."""

    @property
    def mark(self) -> str:
        """The first column of a table."""
        return ("ok" if self.sure else "?") if self.good else "NOT"


@dataclass(frozen=True, kw_only=True)
class Login:
    """What nodes log in to the registry with."""

    password: str = field(repr=False)
    authority: str
    """The certificate of the cluster's authority: the password is told to nobody whom it did not sign."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What the plan has, as far as checks ask for it."""

    home: str
    """The site with the masters: an agent that names no region is there."""
    pools: Mapping[tuple[str, str], int]
    """Site and pool → how many agents there are at least. Several sites may have a pool of one name."""
    members: Mapping[str, tuple[str, ...]]
    """Site → the nodes with a name of their own (no agents) that are members of its Consul."""
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Site → the token that may read its Consul."""
    login: Login | None = field(default=None, repr=False)
    """None where the registry's password is not known here."""

    @property
    def agents(self) -> int:
        """How many agents there are at least, in all."""
        return sum(self.pools.values())

    def agents_of(self, site: str) -> int:
        """How many of them are at one site."""
        return sum(number for (where, _pool), number in self.pools.items() if where == site)


Question = Callable[[Endpoints, Expected, Deadline], Finding]


def client(target: Target, deadline: Deadline, *, patient: bool = True) -> closing[Client]:
    """A client for one question; one of several that are asked for themselves is not to be waited for."""
    return closing(Client(target, deadline, patient=patient))


def at_once(ask: Callable[[One], Said], everyone: Iterable[One]) -> list[Said]:
    """What each says, in order: who does not answer takes no time from the others."""
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        return list(pool.map(ask, everyone))


def node_plan(node: str, endpoints: Endpoints) -> str | None:
    """The command that tells what a node lacks; None at a simulator, which has no nodes."""
    return None if endpoints.simulator else f"clustermesos nodes plan {node}"
