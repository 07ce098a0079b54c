"""A double of Terraform that knows a machine for each master, and a site that uses it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from constructs_lib.access.deployed import Deployed
from constructs_lib.errors import ToolError
from constructs_lib.roll.site import Site
from constructs_lib.roll.terraform_cli import Terraform


@dataclass
class FakeTerraform:
    """A double of Terraform with a machine for each master, name → [id, size, address]; `size` is wanted."""

    machines: dict[str, list[str]]
    size: str = "large"
    log: list[str] = field(default_factory=list)
    waiting: str | None = None
    """Another resource that a deploy would change."""
    drifted: bool = False
    """Whether someone has changed all machines outside of Terraform."""
    fails_at: str | None = None

    def init(self) -> None:
        self.log.append("init")

    def plan(self, out: Path, *, replace: Sequence[str] = (), refresh: bool = True) -> dict[str, Any]:
        chosen = [name for name in self.machines if f'aws_instance.masters["{name}"]' in replace]
        out.write_text(json.dumps({"replace": chosen, "refresh": refresh}))
        changes = [self._change(name, name in chosen, refresh) for name in self.machines]
        if self.waiting:
            changes.append(resource(self.waiting, "aws_other", None, ["update"]))
        drift = [{"address": change["address"]} for change in changes] if self.drifted and refresh else []
        return {"format_version": "1.2", "resource_changes": changes, "resource_drift": drift}

    def _change(self, name: str, replaced: bool, refresh: bool) -> dict[str, Any]:
        id_, size, address = self.machines[name]
        before = {"id": id_, "instance_type": size, "private_ip": address}
        after = {"instance_type": self.size, "private_ip": address}
        actions = ["no-op"]
        if not id_:
            before, actions = {}, ["create"]
        elif replaced:
            actions = ["delete", "create"]
        elif self.drifted and refresh:
            actions = ["update"]
        return resource(
            f'aws_instance.masters["{name}"]', "aws_instance", name, actions, before=before, after=after
        )

    def apply(self, file: Path) -> None:
        asked = json.loads(file.read_text())
        assert not (self.drifted and asked["refresh"]), "the plan that undoes drift was applied"
        for name in asked["replace"] or [name for name, (id_, *_) in self.machines.items() if not id_]:
            self.log.append(f"apply {name}")
            if name == self.fails_at:
                raise ToolError("terraform apply: quota")
            self.machines[name][:2] = [f"{self.machines[name][0]}+", self.size]


def resource(
    address: str,
    type: str,
    index: str | None,
    actions: list[str],
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    return {
        "address": address,
        "mode": "managed",
        "type": type,
        "name": "masters",
        "index": index,
        "change": {"actions": actions, "before": before, "after": after, "after_unknown": {"id": True}},
    }


class FakeSite(Site):
    """A site whose Terraform is the double, and which is never logged in to."""

    @property
    def terraform(self) -> Terraform:
        return cast(Terraform, FAKES[id(self.workspace)])

    def refresh(self, agents: Mapping[str, str] | None = None) -> Deployed:
        return cast(Deployed, None)


FAKES: dict[int, FakeTerraform] = {}
