"""Where a simulated cluster answers, as a file that the commands which deploy read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from constructs_lib.errors import SimulatorError

if TYPE_CHECKING:
    from constructs_lib.simulator.cluster.cluster import SimulatedCluster

VARIABLE: Final = "CLUSTERMESOS_SIMULATOR"
"""Names the file to those commands."""


def endpoints(cluster: SimulatedCluster, consul: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Program → `host:port` of its instances.

    Args:
        cluster: which answers.
        consul: site → URL of the real Consul, "" for every site.
    """
    instances = {name: list(one.addresses) for name, one in cluster.instances.items()}
    regions = sorted({agent.region or "eu" for agent in cluster.world.agents.values()} or {"eu"})
    for site, url in (consul or {}).items():
        for name in [site] if site else regions:
            instances[f"consul/{name}"] = [url.partition("://")[2].rstrip("/")]
    return {"simulator": True, "instances": instances}


def write_endpoints(path: Path, found: Mapping[str, Any]) -> None:
    """Write the file, whole or not at all; SimulatorError where that can't be done."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        fresh.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise SimulatorError(f"{path}: can't be written: {error.strerror}") from None
