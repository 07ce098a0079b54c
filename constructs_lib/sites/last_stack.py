"""The last stack of a cluster: when contracts, plan or what was deployed change, `clustermesos apply` runs.

One `terraform_data`, since there is nothing to create: a failed run taints it, so that the next deploy tries
again. The command is found on PATH and the cluster's folder by a relative path: no machine's path is in the
stack. What is in its environment is no secret, or Terraform would hide every line that the hooks say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from constructs_lib.terraform import Resource, TerraformStack
from constructs_lib.terraform.hcl import Expr, literal, to_hcl
from constructs_lib.terraform.plain import plain

OUTPUTS_VARIABLE: Final = "CLUSTERMESOS_OUTPUTS"
"""What the sites' stacks say they deployed, as JSON by site; `clustermesos apply` saves it."""
_NOT_FOUND = (
    "clustermesos: not on PATH, so the applications were not touched; "
    "install it, or put its virtual environment on PATH, and deploy again"
)
_COMMAND = f"""cd "$CLUSTERMESOS_FOLDER" || exit 1
command -v clustermesos >/dev/null || {{ echo "{_NOT_FOUND}" >&2; exit 1; }}
exec clustermesos apply --deployed"""


def as_json(description: Mapping[str, Any]) -> Expr:
    """What a site's stack says it deployed, as one string that other stacks can take."""
    return Expr(f"jsonencode({to_hcl(plain(description))})")


def run_hooks(
    stack: TerraformStack, *, cluster: str, digest: str, described: Mapping[str, Expr], folder: str
) -> Resource:
    """Put the run of the hooks into `stack`.

    `digest` stands for contracts and plan, `described` is each site's description as a string of JSON, and
    `folder` the way from the stack's folder to that of cluster.yaml.
    """
    sites = Expr(
        f"jsonencode({to_hcl({site: Expr(f'jsondecode({one.code})') for site, one in described.items()})})"
    )
    made = Resource(
        stack,
        "hooks",
        "terraform_data",
        input={"cluster": cluster},
        triggers_replace={"contracts_and_plan": digest, "deployed": Expr(f"sha256({sites.code})")},
    )
    made.add_override(
        "provisioner",
        [
            {
                "local-exec": {
                    "command": literal(_COMMAND),
                    "environment": {"CLUSTERMESOS_FOLDER": literal(folder), OUTPUTS_VARIABLE: sites},
                }
            }
        ],
    )
    return made
