"""One IAM role per node role, allowed exactly what its machines do.

Reading a SecureString under AWS' own key needs no KMS permission (that key's policy lets SSM use it for the
account); under a customer's key it needs kms:Decrypt, allowed only by way of SSM.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from constructs import Construct as Scope

from constructs_lib.aws.backup import BackupBucket, encryption, target_statements
from constructs_lib.aws.flow_logs import assume_role
from constructs_lib.aws.secrets import Secrets
from constructs_lib.aws.settings import aws_of
from constructs_lib.aws.tags import tags
from constructs_lib.components import components_of
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.names import short_name
from constructs_lib.terraform import Construct, Expr, Resource, TerraformElement

_LONGEST_ROLE_NAME = 64


class NodeAccess(Construct):
    """IAM role and instance profile of each of `roles`: its own secrets to read, its own backups to write."""

    def __init__(
        self,
        scope: Scope,
        id: str,
        *,
        plan: SitePlan,
        roles: Sequence[Role],
        secrets: Secrets | None = None,
        backup: BackupBucket | None = None,
    ) -> None:
        super().__init__(scope, id)
        self.roles = tuple(roles)
        held = secrets or Secrets(self, "secrets", plan=plan, roles=self.roles, shared=True)
        names = {role.value: short_name(plan, role.value, limit=_LONGEST_ROLE_NAME) for role in self.roles}
        role_tags = {**tags(plan, "${each.key}"), "clustermesos:role": "${each.key}"}
        self._role = Resource(
            self,
            "role",
            "aws_iam_role",
            for_each=names,
            name="${each.value}",
            assume_role_policy=assume_role("ec2.amazonaws.com"),
            permissions_boundary=aws_of(plan).permissions_boundary_arn,
            tags=role_tags,
        )
        self._profile = Resource(
            self,
            "profile",
            "aws_iam_instance_profile",
            for_each=names,
            name="${each.value}",
            role=Expr(f"{self._role.address}[each.key].name"),
            tags=role_tags,
        )
        self._policies = {
            role: self._policy(role, statements)
            for role in self.roles
            if (statements := [*_secret_statements(plan, role, held), *_own_folders(plan, role, backup)])
        }

    def profile_name(self, role: Role) -> str:
        """The name of the role's instance profile; SpecError when this access does not have the role."""
        if role not in self.roles:
            raise SpecError("access.role", role.value, f"one of {[known.value for known in self.roles]}")
        return self._profile.each(role.value, "name")

    def permissions(self, role: Role) -> tuple[TerraformElement, ...]:
        """What has to exist before a machine of the role boots."""
        return (self._policies[role],) if role in self._policies else ()

    def _policy(self, role: Role, statements: list[Mapping[str, Any]]) -> Resource:
        return Resource(
            self,
            f"{role}-policy",
            "aws_iam_role_policy",
            name="clustermesos",
            role=self._role.each(role.value, "id"),
            policy=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )


def _secret_statements(plan: SitePlan, role: Role, secrets: Secrets) -> list[Mapping[str, Any]]:
    read = {
        "Sid": "ReadOwnSecrets",
        "Effect": "Allow",
        "Action": "ssm:GetParameter",
        "Resource": [secrets.arn(secret) for secret in plan.secrets_of(role)] + secrets.carried_arns(),
    }
    aws = aws_of(plan)
    if aws.kms_key_arn is None:
        return [read]
    via = {"StringEquals": {"kms:ViaService": f"ssm.{aws.region}.amazonaws.com"}}
    decrypt = {
        "Sid": "DecryptThem",
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": aws.kms_key_arn,
        "Condition": via,
    }
    return [read, decrypt]


def _own_folders(plan: SitePlan, role: Role, backup: BackupBucket | None) -> list[Mapping[str, Any]]:
    """A role's own folders, and nothing of the others': in the site's bucket for roles that hold state, and
    in those of cluster.yaml's targets without credentials.
    """
    keeps = any(component.keeps_state(role) for component in components_of(role))
    own = backup.statements(role) if backup and keeps else []
    targets = target_statements(plan, role)
    return [*own, *targets, *(encryption(plan) if targets and not own else [])]
