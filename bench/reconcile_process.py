"""The process that is measured: python -m bench.reconcile_process FOLDER CHANGED."""

from __future__ import annotations

import json
import resource
import sys
import time
import urllib.request
from pathlib import Path

from bench.contracts import SITE, compiled, planned
from constructs_lib.hooks.deadline import Clock, Deadline
from constructs_lib.hooks.pipeline import run_apps, run_hook
from constructs_lib.hooks.platform import Platform
from constructs_lib.hooks.run import Run
from constructs_lib.hooks.settings import Settings
from constructs_lib.hooks.simulated import read_endpoints
from constructs_lib.plan.alerts import platform_rules


def main(folder: Path, changed: int) -> None:
    """Print requests, seconds, memory and whether everything is as it should be."""
    endpoints = read_endpoints(folder / "endpoints.json")
    plan = planned(folder)
    began = time.monotonic()
    wanted = compiled(folder, plan)
    files_seconds = time.monotonic() - began
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
    with Platform(plan, endpoints, Deadline(10**6, clock), {}) as platform:
        began = time.monotonic()
        run = Run.of(platform, wanted)
        changes = run.plan()
        # Of each that changed: the app, and what its settings say of its version.
        good = len([one for one in changes if one.action != "keep"]) == 2 * changed
        if changed:
            alerts = {SITE: platform_rules(plan.site(SITE))}
            settings = run_hook(Settings(platform.consuls, wanted, platform=alerts), lambda _line: None)
            outcome = run_apps(wanted, run.applications, platform.deadline, lambda _line: None)
            good = good and settings.good and outcome.good
        seconds, requests = time.monotonic() - began, platform.requests
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(
        json.dumps(
            {
                "requests": requests,
                "files_seconds": files_seconds,
                "seconds": seconds,
                "cpu_seconds": used.ru_utime + used.ru_stime,
                "mib": used.ru_maxrss / 1024,
                "good": good,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
