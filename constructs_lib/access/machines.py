"""How a platform names its machines, for whoever has to tell one from the rest of a stack."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """A platform's own words: `machines` are the resource types that are a node, `kept` those that must
    outlive it.

    `address` is the machine's attribute that holds its private address, `identity` the one that names it; a
    key inside of a map stands behind a slash, `metadata/address`. With `told_by_address` the type alone does
    not say what is a machine: only one that has an address is. `fleeting` are files of the computer that
    deploys, of no use to a machine that runs: one that is gone is made again with the machine it is for.
    """

    machines: Collection[str]
    kept: Collection[str]
    address: str
    identity: str = "id"
    told_by_address: bool = False
    fleeting: Collection[str] = ()

    def is_machine(self, type: str, *states: Mapping[str, Any]) -> bool:
        """Whether a resource is a node, by its type and its attributes before and after."""
        if type not in self.machines:
            return False
        return not self.told_by_address or any(self.address_of(state) for state in states)

    def address_of(self, machine: Mapping[str, Any]) -> str | None:
        """The private address in a machine's attributes, None where it is not known."""
        value: Any = machine
        for key in self.address.split("/"):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value if isinstance(value, str) else None


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One machine of a pool that has no planned nodes."""

    id: str
    address: str
    """Private; empty while the machine has none."""
    current: bool
    """Whether it was made from the pool's newest template."""
    in_service: bool
    """Whether the platform counts it as running and well."""
    version: str
    """The template's version that it was made from."""
