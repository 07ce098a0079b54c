"""AppContract: what a `contracts/NAME.yaml` says, typed and with every default filled in.

`dev` is what the application is, `ops` what the platform gives it. Memory and disk are MiB (2**20 bytes),
times are seconds, CPUs may be a part of one. Each class and field carries its description for the reference
(docs/contract-reference.md) and the JSON Schema (docs/contract.schema.json).
"""

from __future__ import annotations

from constructs_lib.contracts import fields as f
from constructs_lib.contracts.dev import DevSpec
from constructs_lib.contracts.ops import OpsSpec
from constructs_lib.spec.group import Group


class AppContract(Group):
    """One application, as its developers and the platform's operators agreed on it."""

    name: f.ContractName
    """The application's name, and the file's: `shop` in shop.yaml."""
    owner: f.Owner
    """The e-mail address of the team that answers for it."""
    on_call: f.Contact | None = None
    """Whom alerts go to, where that is not the owner."""
    dev: DevSpec
    """What the application is."""
    ops: OpsSpec
    """What the platform gives it."""
