"""The generation that a node is to have, with every late value that its site's deploy told."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from constructs_lib.errors import RollError
from constructs_lib.nodes.generation import INCOMING, SecretSource, incoming
from constructs_lib.nodes.late import MARKER
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan


@dataclass(frozen=True, kw_only=True)
class Generation:
    """A manifest and the files that it names, as they lie in a node's generations; holds no secret."""

    manifest: str
    files: Mapping[str, str]
    """Path on the node → text."""
    renewal: str = SecretSource.renewal
    """How another value of a secret gets to where the node asks for it."""
    comes_with_machine: bool = False
    """Whether the machine only ever has the secrets that it was made with."""

    @cached_property
    def manifest_data(self) -> dict[str, Any]:
        """The manifest, parsed."""
        return cast("dict[str, Any]", json.loads(self.manifest))

    @property
    def secrets(self) -> Mapping[str, str]:
        """Name → path on the node, of the secrets that it reads."""
        return {entry["name"]: entry["path"] for entry in self.manifest_data["secrets"]}

    def digests(self) -> dict[str, str]:
        """Path → SHA-256 of the text."""
        return {path: hashlib.sha256(text.encode()).hexdigest() for path, text in self.files.items()}

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all of it."""
        whole = json.dumps([self.manifest, sorted(self.files.items())])
        return hashlib.sha256(whole.encode()).hexdigest()


def wanted(
    plan: SitePlan,
    node: NodePlan | PoolPlan,
    source: SecretSource,
    late_values: Mapping[str, str],
    *,
    without: Container[str] = frozenset(),
) -> Generation:
    """What `node`, or each agent of a pool, is to have; RollError where a late value was not deployed.

    `without` names components that are left out, as in a lab.
    """
    texts = {
        file.path.removeprefix(INCOMING): _resolved(file.content, late_values, node.name)
        for file in incoming(render(plan, node, without=without), source)
    }
    manifest = texts.pop("/manifest.json")
    return Generation(
        manifest=manifest,
        files={path.removeprefix("/files"): text for path, text in texts.items()},
        renewal=source.renewal,
        comes_with_machine=source.comes_with_machine,
    )


def secret_source(plan: SitePlan) -> SecretSource:
    """How the site's platform hands secrets to its nodes."""
    module = importlib.import_module(f"constructs_lib.{plan.platform}.secrets")
    return cast(SecretSource, module.secret_source(plan))


def _resolved(text: str, values: Mapping[str, str], who: str) -> str:
    missing = sorted(set(MARKER.findall(text)) - set(values))
    if missing:
        raise RollError(
            f"{who}: the deployed site does not tell {', '.join(missing)}: cdktf deploy, then again"
        )
    return MARKER.sub(lambda match: values[match.group(1)], text)
