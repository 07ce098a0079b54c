"""One deployed site at hand: its plan, its Terraform, its outputs, and the SSH files that follow from
them.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from constructs_lib.access.deployed import Deployed, read_outputs, read_saved, save
from constructs_lib.access.host_keys import public_host_key
from constructs_lib.access.machines import Agent
from constructs_lib.access.ssh import Ssh
from constructs_lib.access.ssh_config import Folder, hosts_of, write
from constructs_lib.components.model import Role
from constructs_lib.errors import RollError
from constructs_lib.plan.model import ClusterPlan, NodePlan, SitePlan
from constructs_lib.roll.gate import Machine
from constructs_lib.roll.terraform_cli import Terraform
from constructs_lib.spec.workspace import Workspace
from constructs_lib.synth import stack_name

KEY_VARIABLE = "CLUSTERMESOS_SSH_KEY"
"""A private key file to log in with, where ssh would not find it by itself (in CI)."""
HOST_KEY_SECRET = "gateway_ssh_host_key"  # noqa: S105 (its name)
SECRETS_FILE = "secrets.auto.tfvars.json"
"""What synth puts beside a stack's cdk.tf.json: the secrets that were, or will be, deployed with it."""

Say = Callable[[str], None]
"""Takes one line for the person who waits."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A site of a synthesized cluster; `stacks` are the folders of its stacks by site name."""

    cluster: ClusterPlan
    plan: SitePlan
    workspace: Workspace
    stacks: Mapping[str, Path]
    say: Say
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def terraform(self) -> Terraform:
        """The stack's Terraform, which says what it applies while it does."""
        return Terraform(
            folder=self.stacks[self.plan.name],
            say=lambda line: self.say(f"    {line}" if line else ""),
            environ=self.environ,
        )

    @property
    def ssh(self) -> Ssh:
        """OpenSSH by the files that `refresh` writes."""
        return Ssh(folder=Folder(self.workspace.private), environ=self.environ)

    def deployed(self) -> Deployed | None:
        """What the stack's outputs say now, saved; None before the first deploy."""
        terraform = self.terraform
        if not terraform.initialized:
            terraform.init()
        deployed = read_outputs(terraform.outputs(), stack=terraform.folder.name)
        if deployed is not None:
            self.workspace.make_private()
            save(deployed, self.workspace.outputs_folder)
        return deployed

    def refresh(self, agents: Mapping[str, str] | None = None) -> Deployed:
        """Read the outputs and write the SSH files; `agents` are machines that no output lists, id →
        address.

        RollError when nothing was deployed yet.
        """
        deployed = self.deployed()
        if deployed is None:
            raise RollError(f"{self.terraform.folder.name}: nothing is deployed yet: cdktf deploy")
        write_ssh(
            self.cluster, self.workspace, self.stacks, self.environ, agents={self.plan.name: agents or {}}
        )
        return deployed

    def machines(self, role: Role) -> tuple[Machine, ...]:
        """The planned nodes of a role, as gates know them."""
        return self.machines_of(self.plan.nodes_of(role))

    def machines_of(self, nodes: Iterable[NodePlan]) -> tuple[Machine, ...]:
        """Nodes with a planned address, as gates know them."""
        return tuple(self._machine(node.name, str(node.address), node.role) for node in nodes)

    def agent(self, agent: Agent) -> Machine:
        """An agent, as gates know it."""
        return self._machine(agent.id, agent.address, Role.AGENT)

    def _machine(self, name: str, address: str, role: Role) -> Machine:
        return Machine(
            name=name,
            address=address,
            role=role.value,
            cluster=self.cluster.name,
            login=f"{name}.{self.plan.name}",
        )

    @contextmanager
    def plan_file(self) -> Iterator[Path]:
        """A place for a plan, which holds secrets: inside the private folder, gone afterwards."""
        with tempfile.TemporaryDirectory(dir=self.workspace.make_private(), prefix="plan-") as folder:
            yield Path(folder) / "plan"


def stack_folders(cluster: ClusterPlan, outdir: Path) -> Mapping[str, Path]:
    """Site name → where synth puts its stack."""
    return {site: outdir.resolve() / "stacks" / stack_name(cluster, site) for site in cluster.sites}


def write_ssh(
    cluster: ClusterPlan,
    workspace: Workspace,
    stacks: Mapping[str, Path],
    environ: Mapping[str, str],
    *,
    agents: Mapping[str, Mapping[str, str]] | None = None,
) -> Folder:
    """Write the SSH files from the saved outputs of every site.

    A gateway whose host key is not to be had stands in them without one, and is refused by ssh.
    """
    saved = [read_saved(workspace.outputs_folder, name) for name in cluster.sites]
    keys = {}
    for site in cluster.sites.values():
        private = _host_key(site, stacks[site.name], environ)
        if private is not None:
            keys[site.name] = public_host_key(private)
    identity = environ.get(KEY_VARIABLE)
    folder = Folder(workspace.make_private())
    write(
        hosts_of([site for site in saved if site], keys, agents),
        folder,
        identity_file=Path(identity) if identity else None,
    )
    return folder


def _host_key(site: SitePlan, stack: Path, environ: Mapping[str, str]) -> str | None:
    """The gateway's private host key, from where Terraform takes it too: the environment, else the
    stack's file.
    """
    names = [secret.name for secret in site.secrets if secret.declared.name == HOST_KEY_SECRET]
    if not names:
        return None
    supplied = environ.get(f"TF_VAR_{names[0]}")
    if supplied:
        return supplied
    try:
        values = json.loads((stack / SECRETS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    value = values.get(names[0])
    return value if isinstance(value, str) else None
