"""docs/contract-reference.md: every setting, made from the models and their docstrings."""

from __future__ import annotations

from pydantic import BaseModel

from constructs_lib.contracts import dev, model, ops
from constructs_lib.contracts.json_schema import MODULES
from constructs_lib.spec.docstrings import descriptions
from constructs_lib.spec.reference import section

_HEAD = """# contracts/NAME.yaml

Every setting of a contract. This page is made from `constructs_lib/contracts/` by
`python -m constructs_lib.contracts.reference > docs/contract-reference.md`; a test compares them.
`clustermesos check` reports every problem of all contracts at once; `clustermesos schema --contract` prints
the JSON Schema that editors complete and check the file with. [contracts.md](contracts.md) begins at the
beginning.

The file is read as `cluster.yaml` is: UTF-8, at most 1 MiB, YAML 1.2; unknown keys and keys set twice are
errors.
"""

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("", model.AppContract),
    ("dev", dev.DevSpec),
    ("dev.runtime", dev.RuntimeSpec),
    ("dev.health", dev.HealthSpec),
    ("dev.readiness", dev.ReadinessSpec),
    ("dev.state", dev.StateSpec),
    ("dev.state.volumes.VOLUME", dev.VolumeSpec),
    ("dev.metrics", dev.MetricsSpec),
    ("dev.logs", dev.LogsSpec),
    ("ops", ops.OpsSpec),
    ("ops.instances", ops.InstancesSpec),
    ("ops.spread", ops.SpreadSpec),
    ("ops.deploy", ops.DeploySpec),
    ("ops.deploy.canary", ops.CanarySpec),
    ("ops.deploy.canary.checks[]", ops.CanaryCheckSpec),
    ("ops.route", ops.RouteSpec),
    ("ops.backup", ops.BackupSpec),
    ("ops.backup.keep", ops.KeepSpec),
    ("ops.backup.before", ops.DumpSpec),
    ("ops.alerts", ops.AlertsSpec),
    ("ops.exceptions[]", ops.ExceptionSpec),
)
"""Where each model stands in the file, in the page's order; words in capitals are names that you choose."""


def markdown() -> str:
    """The whole page."""
    described = descriptions(MODULES)
    sections = (section(path, settings, described[settings.__name__]) for path, settings in SECTIONS)
    return "\n".join((_HEAD, *sections)).rstrip("\n") + "\n"


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
