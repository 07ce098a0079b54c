"""Contracts by the thousand, as files, and the cluster that they are for."""

from __future__ import annotations

from pathlib import Path

from constructs_lib.contracts.check import demand
from constructs_lib.contracts.compile import compile_contracts
from constructs_lib.contracts.compiled import Compiled
from constructs_lib.contracts.load import load_contracts
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load

SITE = "eu"
_CLUSTER = """\
name: bench
sites:
  eu:
    platform: aws
    aws: {region: eu-west-3}
    network: 10.20.0.0/16
    zones: 1
    masters: {count: 1}
    agents:
      general: {count: 4, cpus: 64, memory_gib: 256}
admin:
  networks: [203.0.113.0/24]
  ssh_keys:
    - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAtWHj8rtM8QGUNPFcZG/fTVYiYrfsKyKF6Ya+W74bef bench@example.org
"""
_CONTRACT = """\
name: NAME
owner: bench@example.org
dev:
  command: ./serve VERSION
  health: {command: "true"}
ops:
  cpus: 0.01
  memory_mib: 32
  pools: [general]
  deploy: {strategy: rolling, min_healthy_seconds: 1}
"""


def write(folder: Path, number: int, changed: int) -> None:
    """A cluster.yaml and `number` contracts, the first `changed` of them in another version than the rest."""
    (folder / "cluster.yaml").write_text(_CLUSTER)
    (folder / "contracts").mkdir(exist_ok=True)
    for n in range(number):
        name = f"app-{n:04d}"
        text = _CONTRACT.replace("NAME", name).replace("VERSION", "v2" if n < changed else "v1")
        (folder / "contracts" / f"{name}.yaml").write_text(text)


def planned(folder: Path) -> ClusterPlan:
    """The cluster."""
    return plan(load(folder / "cluster.yaml"))


def compiled(folder: Path, cluster: ClusterPlan) -> Compiled:
    """What every command does with contracts: load, hold against the cluster, compile."""
    contracts = load_contracts(folder / "contracts")
    demand(contracts, cluster)
    return compile_contracts(contracts, cluster)
