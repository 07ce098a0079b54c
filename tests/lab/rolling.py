"""`clustermesos roll` on a lab: its real order, questions and gates over SSH; only Terraform is a double."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from constructs_lib.components.model import Role
from constructs_lib.plan.lock import read_lock
from constructs_lib.plan.plan import plan
from constructs_lib.roll.gate import SshGate
from constructs_lib.roll.nodes import NodeRoll
from tests.lab.admin import GATE_SECONDS, Operator
from tests.lab.asking import LONG, until
from tests.roll.double import FAKES, FakeSite, FakeTerraform


@dataclass
class LabTerraform(FakeTerraform):
    """Makes a lab's machine anew where Terraform would replace one; what it replaces has to be off."""

    operator: Operator = field(kw_only=True)

    def apply(self, file: Path) -> None:
        done = len(self.log)
        super().apply(file)
        for name in (line.removeprefix("apply ") for line in self.log[done:]):
            self.operator.lab.rebuild(name)
            until(f"{name} lets the operator in", LONG, partial(self._let_in, name))
            # The new machine has another id on a platform, so its host key is learnt anew.
            self.operator.folder.known_nodes.unlink(missing_ok=True)

    def _let_in(self, name: str) -> bool:
        self.operator.let_in(name)
        return True


def machines_of(operator: Operator) -> dict[str, list[str]]:
    """The masters as Terraform knows them, all up to date."""
    masters = operator.plan.nodes_of(Role.MASTER)
    return {node.name: [f"i-{node.name}", "large", str(node.address)] for node in masters}


def roll_of_masters(operator: Operator, terraform: LabTerraform, only: str) -> NodeRoll:
    """`clustermesos roll masters --only NAME --yes`; what it says is in `operator.said`."""
    FAKES[id(operator.workspace)] = terraform
    cluster = plan(operator.overrides.apply(operator.spec), read_lock(operator.workspace.lock_file))
    site = FakeSite(
        cluster=cluster, plan=operator.plan, workspace=operator.workspace, stacks={}, say=operator.said.append
    )
    return NodeRoll(
        site=site,
        role=Role.MASTER,
        gate=SshGate(ssh=operator.ssh),
        gate_timeout=GATE_SECONDS,
        say=operator.said.append,
        confirm=lambda question: True,
        only=only,
    )
