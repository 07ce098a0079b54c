"""A site's stack in the folder of a Terraform, with the real plugin, on a double of the APIs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from constructs_lib.access.deployed import Deployed
from constructs_lib.components.model import Role
from constructs_lib.plan.model import ClusterPlan, SitePlan
from constructs_lib.roll.gate import Machine
from constructs_lib.roll.nodes import NodeRoll
from constructs_lib.roll.reading import ReadPlan
from constructs_lib.roll.site import Site
from constructs_lib.spec.workspace import Workspace
from tests.openstack.clusters import Json, cluster_stack
from tests.openstack.conftest import Terraform
from tests.openstack.double import OpenstackDouble

NAMED = (
    "networks",
    "subnets",
    "routers",
    "ports",
    "security-groups",
    "volumes",
    "servers",
    "os-server-groups",
)
"""Kinds whose things have names of the plan's, none of them twice; a router's own port has none."""


@dataclass(frozen=True)
class Deployment:
    """One stack, its Terraform and the cloud that it goes to."""

    terraform: Terraform
    double: OpenstackDouble
    given: tuple[str, ...] = ()
    """Values of variables, as arguments."""

    @classmethod
    def on(cls, double: OpenstackDouble, terraform: Terraform, stack: Json) -> Deployment:
        """Of a stack that was not deployed yet; every secret is an x."""
        (terraform.folder / "terraform.tfstate").unlink(missing_ok=True)
        there = dataclasses.replace(terraform, environ=terraform.environ | double.environment)
        given = tuple(
            f"-var={name}=x" for name, variable in stack["variable"].items() if variable.get("sensitive")
        )
        made = cls(there, double, given)
        made.write(stack)
        there("init", "-input=false")
        return made

    @classmethod
    def of(cls, site: SitePlan, double: OpenstackDouble, terraform: Terraform) -> Deployment:
        """Of a whole site."""
        return cls.on(double, terraform, cluster_stack(site))

    def write(self, stack: Json) -> None:
        """Make the stack what the next command reads."""
        self.terraform.write(stack)

    def try_to_apply(self) -> subprocess.CompletedProcess[str]:
        """Whatever comes of it."""
        return self.terraform.run("apply", "-auto-approve", "-input=false", "-no-color", *self.given)

    def apply(self) -> None:
        """A failure fails the test."""
        done = self.try_to_apply()
        assert done.returncode == 0, errors(done)

    def changes(self, *arguments: str) -> dict[str, str]:
        """Address → what the next apply would do to it."""
        self.terraform("plan", "-input=false", "-out=plan", *self.given, *arguments)
        shown = json.loads(self.terraform("show", "-json", "plan"))
        return {change.address: change.verb for change in ReadPlan.of(shown).loud()}


class SiteWithoutSsh(Site):
    """The site as a roll sees it, of machines that nobody can log in to."""

    def refresh(self, agents: Mapping[str, str] | None = None) -> Deployed:
        """Nothing to read: no SSH file is wanted."""
        return cast(Deployed, None)


class AllHealthy:
    """A gate that finds everyone healthy, and keeps whom it was asked about."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def look(self, machines: Sequence[Machine]) -> dict[str, str | None]:
        """Nothing is wrong with any."""
        self.asked.append([machine.name for machine in machines])
        return dict.fromkeys(self.asked[-1])


def roll_of(
    cluster: ClusterPlan,
    terraform: Terraform,
    gate: AllHealthy,
    *,
    pool: str | None = None,
    only: str | None = None,
) -> NodeRoll:
    """`clustermesos roll` of masters, or of a pool, of the stack in Terraform's folder."""
    (site,) = cluster.sites.values()
    return NodeRoll(
        site=SiteWithoutSsh(
            cluster=cluster,
            plan=site,
            workspace=Workspace(terraform.folder / "cluster.yaml"),
            stacks={site.name: terraform.folder},
            say=print,
            environ={**terraform.environ, "TERRAFORM_BINARY_NAME": str(terraform.binary)},
        ),
        role=Role.AGENT if pool else Role.MASTER,
        gate=gate,
        gate_timeout=1,
        say=print,
        confirm=lambda question: True,
        pool=pool,
        only=only,
    )


def doubled(double: OpenstackDouble) -> dict[str, int]:
    """What is in the cloud more than once under one name, and ports that two floating addresses lead to."""
    names = Counter(
        f"{kind} {one['name']}" for kind in NAMED for one in double.kept[kind].values() if one.get("name")
    )
    floating = Counter(f"floating {one['port_id']}" for one in double.kept["floatingips"].values())
    return {name: times for name, times in (names + floating).items() if times > 1}


def counted(double: OpenstackDouble) -> dict[str, int]:
    """Kind → how many of it are in the cloud."""
    return {kind: len(kept) for kind, kept in double.kept.items() if kept}


def errors(done: subprocess.CompletedProcess[str]) -> str:
    """The beginning of each error; what stands behind it shows the whole stack."""
    return "\n".join(part[:400] for part in said(done).split("Error: ")[1:])


def said(done: subprocess.CompletedProcess[str]) -> str:
    """What Terraform says, in one line and without its frames."""
    return " ".join((done.stdout + done.stderr).replace("│", "").split())
