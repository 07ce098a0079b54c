"""Secrets: sensitive Terraform variables that come to a machine as a file on its config drive.

One file per machine with the secrets of its role and no others, sent with the request that makes the machine.
Nova puts it on the drive and keeps it nowhere else: neither its API nor the metadata service ever show it,
while both show user data. Its value passes through Terraform's state, see docs/openstack.md. The nodes'
program and long scripts come the same way, so that user data is as small as on AWS.
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
from constructs_lib.nodes.model import NodeFile
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.carried import part, part_size
from constructs_lib.terraform import Construct, Expr, TerraformStack, Variable, to_hcl
from constructs_lib.terraform.naming import StackRecord, place_of

FETCH_PATH = "/usr/local/lib/clustermesos/fetch-secret"
SECRETS_PATH = "/var/lib/clustermesos/secrets.json"
"""Where cloud-init puts the file; {"<secret>": "<value>", …}."""
CARRIED_PATHS = tuple(f"/var/lib/clustermesos/program-{letter}" for letter in "abc")
"""The nodes' program and what travels with it, compressed, in base64 and in parts, of which each is well
below the longest file.
"""
LONGEST_FILE = 10_240
"""Bytes of one such file by nova's default quota (`injected_file_content_bytes`)."""
_ABSENT = "echo not read from the config drive: is ConfigDrive the first in datasource_list? >&2"
_SCRIPT = files("constructs_lib").joinpath("cloud_init", "openstack", "fetch-secret")

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

    def file(self, role: Role, pool: str | None = None) -> dict[str, str] | None:
        """The `personality` block of a machine of that role or pool, None where it reads no secret."""
        named = {secret.name: self._values[secret.name] for secret in self._plan.secrets_of(role, pool)}
        return {"file": SECRETS_PATH, "content": Expr(f"jsonencode({to_hcl(named)})")} if named else None

    def carried(self) -> list[dict[str, str]]:
        """The `personality` blocks of what travels beside user data, the same for every machine."""
        size = part_size(self._plan, len(CARRIED_PATHS))
        return [
            {"file": path, "content": Expr(part(self, self._plan, number * size, size))}
            for number, path in enumerate(CARRIED_PATHS)
        ]


def precondition(file: Mapping[str, Any]) -> dict[str, Any]:
    """Told by Terraform before a machine is made; nova's own answer comes in the middle of a deploy."""
    code = file["content"][2:-1]
    return {
        "condition": f"${{length({code}) <= {LONGEST_FILE}}}",
        "error_message": f"The secrets of this role have more than {LONGEST_FILE} bytes together, "
        "which nova does not take; were some of them replaced by longer ones?",
    }


def secret_source(plan: SitePlan) -> SecretSource:
    """How a node of the site gets a secret: a script that reads the file from the config drive."""
    script = NodeFile(path=FETCH_PATH, content=_SCRIPT.read_text(encoding="utf-8"), mode=0o755)
    return SecretSource(
        command=f"{FETCH_PATH} {SECRETS_PATH}",
        files=(script,),
        carried=carried(plan),
        bundle=f"{{ cat {' '.join(CARRIED_PATHS)} || {_ABSENT}; }} | base64 -d | gzip -d",
        renewal="a machine keeps the secrets that it was made with: clustermesos roll replaces it",
        comes_with_machine=True,
    )
