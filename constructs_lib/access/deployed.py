"""What a site's stack says it deployed: its output `cluster`, and the copy in
.clustermesos/outputs/<site>.json.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from constructs_lib.errors import ToolError

OUTPUT = "cluster"
"""The name of the stack's one output."""


class _Read(BaseModel):
    # A later version may say more; what it says is kept in the saved copy.
    model_config = ConfigDict(frozen=True, extra="allow")


class DeployedNode(_Read):
    """A node with a planned address; `instance_id` is the platform's own id of the machine it runs on
    now.
    """

    role: str
    zone: str
    address: str
    instance_id: str | None = None


class DeployedAgent(_Read):
    """An agent with a planned address."""

    id: str
    address: str


class DeployedPool(_Read):
    """A pool of agents; `autoscaling_group` where the platform scales it as one, else `agents` by name."""

    min: int
    max: int
    autoscaling_group: str | None = None
    launch_template: str | None = None
    agents: dict[str, DeployedAgent] | None = None


class DeployedGateway(_Read):
    """The jump host: its name among the nodes, its private and its public address."""

    name: str
    address: str
    public_address: str


class Login(_Read):
    """The user that the nodes know the operators' keys for."""

    user: str


class Deployed(_Read):
    """One deployed site."""

    cluster: str
    site: str
    platform: str
    nodes: dict[str, DeployedNode]
    pools: dict[str, DeployedPool] = {}
    endpoints: dict[str, str] = {}
    gateway: DeployedGateway | None = None
    login: Login | None = None
    late_values: dict[str, str] = {}
    quota: dict[str, Any] = {}
    """What the site takes of a quota, where the platform has one: `constructs_lib.sites.openstack_quota`."""

    @property
    def agents(self) -> dict[str, DeployedAgent]:
        """Name → agent, of all pools whose agents have planned addresses."""
        return {name: one for pool in self.pools.values() for name, one in (pool.agents or {}).items()}


def read_outputs(outputs: Mapping[str, Any], *, stack: str) -> Deployed | None:
    """The site that the outputs of `stack` describe, None before its first deploy; ToolError for another
    shape.
    """
    if OUTPUT not in outputs:
        return None
    return _validated(outputs[OUTPUT], where=f"the output {OUTPUT} of the stack {stack}")


def save(deployed: Deployed, folder: Path) -> Path:
    """Write `<site>.json` below `folder`, mode 0600, in one step."""
    path = folder / f"{deployed.site}.json"
    # mkstemp makes it 0600, and a reader sees the old or the new one, never half of it.
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(deployed.model_dump(), file, indent=2, ensure_ascii=False)
            file.write("\n")
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return path


def read_saved(folder: Path, site: str) -> Deployed | None:
    """The copy that an earlier command saved, None when there is none; ToolError when it can't be read."""
    path = folder / f"{site}.json"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise ToolError(f"{path}: can't be read: {error}") from None
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ToolError(f"{path}: not JSON ({error}); delete it, the next command writes it anew") from None
    return _validated(data, where=str(path))


def _validated(data: object, *, where: str) -> Deployed:
    try:
        return Deployed.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise ToolError(
            f"{where}: {path}: {first['msg'].lower()}; "
            "another version of clustermesos deployed it: deploy again"
        ) from None
