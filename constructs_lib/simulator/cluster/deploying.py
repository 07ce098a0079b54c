"""Puts what contracts compile to straight at a simulated cluster's APIs: no strategy, no waiting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from constructs_lib.contracts.compiled import Compiled
from constructs_lib.errors import SimulatorError
from constructs_lib.simulator.web import ask

if TYPE_CHECKING:
    from constructs_lib.simulator.cluster.cluster import SimulatedCluster


def deploy(cluster: SimulatedCluster, compiled: Compiled) -> None:
    """PUT every app with its fewest instances, and every job.

    Raises:
        SimulatorError: with what Marathon or Chronos would refuse, and its words.
    """
    for contract in compiled.contracts:
        body = {**contract.app.body, "instances": contract.instances.min}
        path = f"/v2/apps{contract.app.id}?partialUpdate=false&force=true"
        _demand(contract.name, "Marathon", ask(cluster.marathon_url + path, "PUT", body))
        for job in contract.jobs:
            kind = "dependency" if job.get("parents") else "iso8601"
            url = f"{cluster.chronos_url}{cluster.chronos_prefix}{kind}"
            _demand(str(job["name"]), "Chronos", ask(url, "POST", dict(job)))


def _demand(name: str, program: str, answer: tuple[int, Any]) -> None:
    status, body = answer
    if status >= 300:
        said = body.get("message", body) if isinstance(body, Mapping) else body
        details = body.get("details", "") if isinstance(body, Mapping) else ""
        raise SimulatorError(f"{name}: {program} refuses it with {status}: {said} {details}".rstrip())
