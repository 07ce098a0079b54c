"""A run over many contracts: how many requests, how long, how much memory.

The simulator and a real Consul are in this process and beside it; what is measured is a process of its own,
which loads the contracts' files, reads, compares and deploys as `clustermesos apply` does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from bench.contracts import SITE, compiled, planned, write
from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.documents import Documents
from constructs_lib.hooks.http import Client, Target
from constructs_lib.hooks.observed import Progress
from constructs_lib.hooks.settings import Settings
from constructs_lib.plan.alerts import platform_rules
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.simulator.cluster import SimulatedCluster
from scripts.embedded_aws import free_port
from scripts.progress import ROOT

MOST_REQUESTS = 4
MOST_SECONDS = 2.0
MOST_MIB = 200.0
_UP = 30.0


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of the measured process."""

    contracts: int
    changed: int
    requests: int
    files_seconds: float
    """From the files on: loading, checking and compiling them, which asks nobody."""
    seconds: float
    """From the first request on."""
    cpu_seconds: float
    """What the whole process computed, its start and imports too."""
    mib: float
    good: bool


def play(number: int, changed: Sequence[int]) -> tuple[Measured, ...]:
    """`number` contracts unchanged, and then so many of them changed; each on a cluster of its own."""
    return tuple(_run(number, many_changed) for many_changed in (0, *changed))


def _run(number: int, changed: int) -> Measured:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        write(folder, number, 0)
        plan = planned(folder)
        with SimulatedCluster.of_plan(plan) as cluster, _consul() as consul:
            _populate(cluster, consul, folder, plan)
            instances = {program: list(one.addresses) for program, one in cluster.instances.items()}
            endpoints = {"simulator": True, "instances": {**instances, f"consul/{SITE}": [consul]}}
            (folder / "endpoints.json").write_text(json.dumps(endpoints))
            write(folder, number, changed)
            command = [sys.executable, "-m", "bench.reconcile_process", str(folder), str(changed)]
            done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=3000)
    return Measured(contracts=number, changed=changed, **json.loads(done.stdout))


def _populate(cluster: SimulatedCluster, address: str, folder: Path, plan: ClusterPlan) -> None:
    """Everything as a run left it that deployed all contracts."""
    deadline = Deadline(600)
    marathon = Client(Target(name="marathon", bases=cluster.urls("marathon")), deadline)
    consul = Consul(Client(Target(name="consul", bases=(f"http://{address}",)), deadline))
    documents = Documents({SITE: consul}, SITE)
    bodies, wanted = [], compiled(folder, plan)
    for contract in wanted.contracts:
        bodies.append({**contract.app.body, "instances": 1})
        version = contract.app.version
        documents.store_progress(contract.name, Progress(version=version, settled=version), 0)
    alerts = {SITE: platform_rules(plan.site(SITE))}
    own = Settings({SITE: consul}, wanted, platform=alerts)
    own.apply({}, own.diff(own.read()), lambda _line: None)
    marathon.ask("PUT", "/v2/apps", (), bodies)
    cluster.advance(120)


@contextmanager
def _consul() -> Iterator[str]:
    """A Consul in memory; its address."""
    ports = {name: free_port() for name in ("http", "dns", "server", "serf-lan", "serf-wan")}
    flags = [f"-{name}-port={port}" for name, port in ports.items()]
    program = ROOT / ".tools" / "bin" / "consul"
    process = subprocess.Popen(
        [program, "agent", "-dev", "-log-level=err", "-grpc-port=-1", "-grpc-tls-port=-1", *flags],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"127.0.0.1:{ports['http']}"
    try:
        _wait(f"http://{address}/v1/status/leader")
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait(url: str) -> None:
    ends = time.monotonic() + _UP
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(url, timeout=5) as answer:
                if b":" in answer.read():
                    return
        except OSError:
            pass
        if time.monotonic() > ends:
            raise TimeoutError(f"{url} did not answer in {_UP:g} s")
        time.sleep(0.1)


def met(found: Sequence[Measured]) -> bool:
    """Whether the promises are kept."""
    same = found[0]
    memory = all(one.mib <= MOST_MIB and one.good for one in found)
    seconds = same.files_seconds + same.seconds
    return same.requests <= MOST_REQUESTS and seconds <= MOST_SECONDS and memory


def lines(found: Sequence[Measured]) -> Iterator[str]:
    """docs/reconcile.md."""
    same, *changed = found
    yield "# A run over many contracts"
    yield ""
    yield f"Made by `make bench` on {date.today().isoformat()}: a process loads, checks and compiles the"
    yield "contracts' files, plans, then deploys what changed, against the SIMULATOR of Marathon and Chronos,"
    yield "whose time is turned by hand, and a real Consul."
    yield ""
    yield "| contracts | changed | requests | per changed one | files, s | then, s | all, s | CPU, s | MiB |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for one in found:
        each = f"{(one.requests - same.requests) / one.changed:.1f}" if one.changed else ""
        yield (
            f"| {one.contracts:,} | {one.changed:,} | {one.requests:,} | {each} "
            f"| {one.files_seconds:.2f} | {one.seconds:.2f} | {one.files_seconds + one.seconds:.2f} "
            f"| {one.cpu_seconds:.1f} | {one.mib:.0f} |"
        )
    yield ""
    kept = "kept" if met(found) else "**not kept**"
    yield f"Bounds: unchanged at most {MOST_REQUESTS} requests and {MOST_SECONDS:g} s, its files too, and"
    yield f"{MOST_MIB:g} MiB at any time: {kept}. *files* asks nobody: it is what `clustermesos check` does"
    yield "with contracts. What the process itself computed, its imports too, is *CPU*:"
    yield f"{os.cpu_count()} cores had a load of {os.getloadavg()[2]:.0f} in the last 15 minutes."
    if changed:
        yield ""
        yield "Requests grow with what changed: a look at a contract asks for that contract alone."
