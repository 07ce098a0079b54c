"""A site's stack in the folder of a Terraform, with the real plugin, on a double of the APIs."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections import Counter
from dataclasses import dataclass

from constructs_lib.plan.model import SitePlan
from constructs_lib.roll.reading import ReadPlan
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
