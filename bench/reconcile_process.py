"""The process that is measured: python -m bench.reconcile_process ENDPOINTS CONTRACTS CHANGED."""

from __future__ import annotations

import json
import resource
import sys
import time
import urllib.request
from pathlib import Path

from bench.contracts import compiled
from constructs_lib.hooks.deadline import Clock, Deadline
from constructs_lib.hooks.pipeline import run_apps
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.run import Run
from constructs_lib.hooks.simulated import read_endpoints
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from scripts.progress import ROOT


def main(file: str, number: int, changed: int) -> None:
    """Print requests, seconds, memory and whether everything is as it should be."""
    endpoints = read_endpoints(Path(file))
    wanted = compiled(number, changed)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    control = f"http://{endpoints.instances['marathon'][0].where}/simulator/advance"

    slept = 0.0

    def sleep(seconds: float) -> None:
        """Time passes at the simulator, which nobody waits for."""
        nonlocal slept
        slept += seconds
        with opener.open(urllib.request.Request(control, json.dumps({"seconds": seconds}).encode())):
            pass

    clock = Clock(now=lambda: time.monotonic() + slept, sleep=sleep)
    with Platform(plan(load(ROOT / "cluster.yaml")), endpoints, Deadline(10**6, clock), {}) as platform:
        began = time.monotonic()
        run = Run.of(platform, wanted)
        changes = run.plan()
        good = len([one for one in changes if one.action != "keep"]) == changed
        if changed:
            outcome = run_apps(wanted, run.applications, platform.deadline, lambda _line: None)
            good = good and outcome.good
        seconds, requests = time.monotonic() - began, platform.requests
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"requests": requests, "seconds": seconds, "mib": mib, "good": good}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
