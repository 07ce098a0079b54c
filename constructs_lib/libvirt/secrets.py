"""Secrets: sensitive Terraform variables that come to a machine as a small disk of their own.

The plugin leaves every cloud-init image readable for all in the temporary folder of the machine that
deploys, so no secret is on one. The disk is the JSON text itself, padded with spaces to `DISK` bytes: written
0600 into `secrets/` beside the stack, uploaded, and deleted. Its value passes through Terraform's state, see
docs/libvirt.md. The nodes' program and long scripts lie on it too, so that user data is as small as on AWS.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any
from weakref import WeakKeyDictionary

from constructs import Construct as Scope

from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.nodes.carried import carried
from constructs_lib.nodes.cloud_init import SecretSource
from constructs_lib.nodes.generation import INCOMING
from constructs_lib.nodes.model import NodeFile
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.carried import compressed
from constructs_lib.terraform import Construct, Expr, TerraformStack, Variable, to_hcl
from constructs_lib.terraform.naming import StackRecord, place_of

FETCH_PATH = "/usr/local/lib/clustermesos/fetch-secret"
SERIAL = "secrets"
DEVICE = f"/dev/disk/by-id/virtio-{SERIAL}"
DISK = 49_152
"""Bytes of the disk, whole sectors; the secrets of a role take a quarter of it, the program less."""
PROGRAM = "clustermesos-apply"
"""The key, among the secrets, of the program and what travels with it: none of theirs has a hyphen."""
_SCRIPT = files("constructs_lib").joinpath("cloud_init", "libvirt", "fetch-secret")

_SHARED: WeakKeyDictionary[StackRecord, dict[str, str]] = WeakKeyDictionary()
"""Stack → secret → the expression for it, of those that were made to be shared."""


class Secrets(Construct):
    """The secrets that nodes of `roles` read (by default all of the site's), each a variable of its name.

    `values` gives an expression instead, by secret name, where that cannot be: two clusters in one stack, or
    secrets from elsewhere. `shared` takes what another one with `shared` in the stack made: masters and
    Consul nodes without a cluster around them read some of the same secrets.
    """

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        roles: Sequence[Role] = tuple(Role),
        values: Mapping[str, str] | None = None,
        shared: bool = False,
    ) -> None:
        super().__init__(scope, id)
        self._plan = plan
        given = dict(values or {})
        wanted = [secret for secret in plan.secrets if set(secret.roles) & set(roles)]
        unknown = sorted(set(given) - {secret.name for secret in wanted})
        if unknown:
            raise SpecError("secrets.values", unknown, f"some of {[secret.name for secret in wanted]}")
        made = _SHARED.setdefault(place_of(self).stack, {}) if shared else {}
        self._values: dict[str, str] = {}
        for secret in wanted:
            if secret.name not in made:
                made[secret.name] = (
                    given.get(secret.name)
                    or Variable(
                        TerraformStack.of(self),
                        secret.name,
                        sensitive=True,
                        description=f"Secret of the nodes; kept in {secret.declared.to} there.",
                    ).ref()
                )
            self._values[secret.name] = made[secret.name]

    def text(self, role: Role, pool: str | None = None) -> Expr:
        """The whole disk of a machine of that role or pool, as an expression."""
        named = self._named(role, pool) | {PROGRAM: Expr(compressed(self, self._plan))}
        return Expr(f'format("%-{DISK}s", jsonencode({to_hcl(named)}))')

    def digest(self, role: Role, pool: str | None = None) -> Expr:
        """A hash of these secrets together, by which a roll sees that a machine has other ones.

        It lies open in state and plans. What every role reads holds a key or token that no one can guess, so
        a weak password beside it can't be found by trying. The program is left out: user data has its hash.
        """
        # Not every `values` is sensitive, and nonsensitive() alone may refuse what is not.
        return Expr(f"nonsensitive(sensitive(sha256(jsonencode({to_hcl(self._named(role, pool))}))))")

    def _named(self, role: Role, pool: str | None) -> dict[str, str]:
        return {secret.name: self._values[secret.name] for secret in self._plan.secrets_of(role, pool)}


def writing(text: Expr) -> dict[str, Any]:
    """The provisioner that writes a machine's disk, `secrets/<machine>`, before it is uploaded."""
    return {
        "local-exec": {
            # The text comes by the environment: a command line is there for all to see.
            "command": 'umask 077; mkdir -p secrets && printf %s "$SECRETS" >"secrets/$MACHINE"',
            "environment": {"MACHINE": Expr("self.input.name"), "SECRETS": text},
        }
    }


def removing() -> dict[str, Any]:
    """The provisioner that deletes it once it was uploaded."""
    return {
        "local-exec": {
            "command": 'rm -f "secrets/$MACHINE"',
            "environment": {"MACHINE": Expr('trimsuffix(self.name, "-secrets")')},
        }
    }


def precondition(text: Expr) -> dict[str, Any]:
    """Told by Terraform before a machine is made."""
    return {
        "condition": f"${{length({text.code}) == {DISK}}}",
        "error_message": "The secrets of this role and the nodes' program have more than "
        f"{DISK} bytes together; were some of them replaced by longer ones?",
    }


def secret_source(plan: SitePlan) -> SecretSource:
    """How a node of the site gets a secret: a script that reads its disk."""
    script = NodeFile(path=FETCH_PATH, content=_SCRIPT.read_text(encoding="utf-8"), mode=0o755)
    return SecretSource(
        command=f"{FETCH_PATH} {DEVICE}",
        files=(script,),
        carried=carried(plan),
        bundle=f"python3 {INCOMING}/files{FETCH_PATH} {DEVICE} {PROGRAM} | base64 -d | gzip -d",
        renewal="a machine keeps the secrets that it was made with: clustermesos roll replaces it",
        comes_with_machine=True,
    )
