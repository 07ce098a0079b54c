"""Secrets: sensitive Terraform variables, kept in SSM's parameter store, fetched by each node itself.

What is carried beside user data, such as the nodes' program, comes the same way.

A secret's parameter is `/<cluster>/<site>/<secret>`, a SecureString. Its value passes through Terraform's
state, see docs/aws.md; it is in no file of the stack, no user data and no output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from string import ascii_lowercase
from weakref import WeakKeyDictionary

from constructs import Construct as Scope

from constructs_lib.aws.settings import aws_of
from constructs_lib.aws.tags import tags
from constructs_lib.components.model import Role
from constructs_lib.errors import SpecError
from constructs_lib.nodes.carried import carried
from constructs_lib.nodes.cloud_init import SecretSource
from constructs_lib.nodes.generation import INCOMING
from constructs_lib.nodes.model import NodeFile
from constructs_lib.plan.model import PlannedSecret, SitePlan
from constructs_lib.sites.carried import part, part_size, short_digest, size_in_base64
from constructs_lib.terraform import Construct, Expr, Resource, TerraformStack, Variable
from constructs_lib.terraform.naming import StackRecord, place_of
from constructs_lib.terraform.policy import accept

LONGEST_PART = 4_000
"""Characters of a parameter at most; one takes 4,096 at no cost."""
FETCH_PATH = "/usr/local/lib/clustermesos/fetch-secret"
_SCRIPT = files("constructs_lib").joinpath("cloud_init", "aws", "fetch-secret")

_SHARED: WeakKeyDictionary[StackRecord, dict[str, Resource]] = WeakKeyDictionary()
"""Stack → parameter name → parameter, of those that were made to be shared."""


class Secrets(Construct):
    """The secrets that nodes of `roles` read (by default all of the site's), each a variable and a parameter.

    The variable has exactly the secret's name, since that is what secrets.auto.tfvars.json and TF_VAR_… say.
    `values` gives an expression instead, by secret name, where that cannot be: two clusters in one stack, or
    secrets from elsewhere. `shared` takes what another one with `shared` in the stack made for the same site:
    masters and Consul nodes without a cluster around them read some of the same secrets.
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
        given = dict(values or {})
        wanted = [secret for secret in plan.secrets if set(secret.roles) & set(roles)]
        unknown = sorted(set(given) - {secret.name for secret in wanted})
        if unknown:
            raise SpecError("secrets.values", unknown, f"some of {[secret.name for secret in wanted]}")
        made = _SHARED.setdefault(place_of(self).stack, {}) if shared else {}
        self._parameters = {}
        for secret in wanted:
            name = f"{parameter_path(plan)}{secret.name}"
            if name not in made:
                value = given.get(secret.name) or _variable(self, secret)
                made[name] = self._parameter(plan, secret.name, secret.name, value)
            self._parameters[secret.name] = made[name]
        carried = f"{parameter_path(plan)}carried"
        if carried not in made:
            made[carried] = self._kept(plan)
        self._carried, self._parts = made[carried], len(_parts(plan))

    def arn(self, secret: PlannedSecret) -> str:
        """The parameter's ARN, as an expression."""
        return self._parameters[secret.name].ref("arn")

    def carried_arns(self) -> list[str]:
        """The ARNs of the parameters with what is carried beside user data, as expressions: every role reads
        them.
        """
        # By number: the quotes of a key would be escaped inside a policy, which is JSON in a template.
        parts = f"values({self._carried.address})"
        return [Expr(f"{parts}[{number}].arn") for number in range(self._parts)]

    def _kept(self, plan: SitePlan) -> Resource:
        """What is carried, in parts, compressed by Terraform as user data is."""
        size = part_size(plan, len(_parts(plan)))
        starts = {letter: str(number * size) for number, letter in enumerate(_parts(plan))}
        value = f"${{{part(self, plan, 'each.value', size)}}}"
        return self._parameter(plan, "program", _part_name(plan, "${each.key}"), value, for_each=starts)

    def _parameter(
        self, plan: SitePlan, id: str, name: str, value: str, for_each: Mapping[str, str] | None = None
    ) -> Resource:
        key = aws_of(plan).kms_key_arn
        parameter = Resource(
            self,
            id,
            "aws_ssm_parameter",
            for_each=for_each,
            name=f"{parameter_path(plan)}{name}",
            type="SecureString",
            key_id=key,
            value=value,
            tags=tags(plan, id),
        )
        if key is None:
            accept(
                parameter,
                "CKV_AWS_337",
                "encrypted with the service's own key; aws.kms_key_arn makes it a customer's",
            )
        return parameter


def parameter_path(plan: SitePlan) -> str:
    """`/demo/eu/`: what every parameter of the site starts with."""
    return f"/{plan.cluster}/{plan.name}/"


def secret_source(plan: SitePlan) -> SecretSource:
    """How a node of the site gets a secret: a script that asks SSM with the machine's own role."""
    script = NodeFile(path=FETCH_PATH, content=_SCRIPT.read_text(encoding="utf-8"), mode=0o755)
    command = f"{FETCH_PATH} --region {aws_of(plan).region} --prefix {parameter_path(plan)}"
    return SecretSource(
        command=command,
        files=(script,),
        packages=("python3-boto3",),
        carried=carried(plan),
        bundle=_fetch_bundle(plan, command),
    )


def _fetch_bundle(plan: SitePlan, command: str) -> str:
    """Shell that prints the bundle; boto3 comes first, from the distribution."""
    fetch = f"python3 {INCOMING}/files{command} --seconds 5"
    parts = " ".join(_part_name(plan, letter) for letter in _parts(plan))
    return (
        # Power that was lost while it was installed leaves it half done, and apt then does nothing.
        "python3 -c 'import boto3' || { dpkg --force-confold --configure -a; apt-get -q update && "
        "apt-get -q -y install python3-boto3; } >&2; "
        f"for part in {parts}; do {fetch} $part; done | base64 -d | gzip -d"
    )


def _parts(plan: SitePlan) -> str:
    """A letter for each part."""
    return ascii_lowercase[: -(-size_in_base64(plan) // LONGEST_PART)]


def _part_name(plan: SitePlan, letter: str) -> str:
    """Named by the content: a machine that is made while the program changes finds its own or none."""
    return f"program-{short_digest(plan)}-{letter}"


def _variable(scope: Scope, secret: PlannedSecret) -> str:
    stack = TerraformStack.of(scope)
    return Variable(
        stack,
        secret.name,
        sensitive=True,
        description=f"Secret of the nodes; kept in {secret.declared.to} there.",
    ).ref()
