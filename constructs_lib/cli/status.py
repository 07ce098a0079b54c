"""`clustermesos status`: is the platform ready, and are its applications as their contracts say?"""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import Any

from constructs_lib.cli.platform import CHECK, Cluster, add_options


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "status",
        help="tell whether the platform is ready and its applications serve",
        description="Asks ZooKeeper, Mesos, Marathon, Chronos, the registry, each site's Consul and edges, "
        "once and at the same time, and tells of each contract's application and jobs whether they are as it "
        "says, as Marathon, Consul and the edges see them, who restores whose data or left it half restored, "
        "what was decided last where a number follows load, and of each site's Prometheus whether it has all "
        "alerts, and which of them fire. Nothing is changed.",
        epilog="Exit codes: 0 all is ready, 1 something is not or can't be reached, 2 wrong input.",
    )
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Ask and print; 0 when all is ready."""
    from constructs_lib.hooks.decisions import decisions
    from constructs_lib.hooks.finding import Finding
    from constructs_lib.hooks.jobs import Jobs
    from constructs_lib.hooks.report import hints, table
    from constructs_lib.hooks.run import alerts, applications, held

    cluster = Cluster.of(args)
    compiled, left_out = cluster.compiled_but()
    with cluster.looked_at() as platform:
        findings = platform.look()
        # Without Marathon there is nothing to say of what it runs.
        runs = any(one.check == "marathon" and one.good for one in findings)
        restores = held(platform)
        apps = applications(platform, compiled, restores) if compiled.contracts and runs else ()
        saves = any(one.check == "chronos" and one.good for one in findings)
        jobs = Jobs(platform.chronos, compiled, now=platform.now) if compiled.contracts and saves else None
        scales = decisions(platform, compiled)
        restoring = (one.verdict for _, one in sorted(restores.items()))
        found = (*apps, *restoring, *scales, *(jobs.verify(jobs.read()) if jobs else ()))
        serving = [one.name for one in apps if one.good]
        found += alerts(platform, compiled, serving).verdicts if compiled.contracts else ()
    if left_out:
        findings = (*findings, Finding(check="contracts", good=False, says=left_out, try_next=CHECK))
    good = all(one.good for one in findings) and all(one.good for one in found)
    answer = {
        "good": good,
        "checks": [asdict(one) for one in findings],
        "contracts": [asdict(one) for one in found],
    }
    rows = [("ok" if one.good else "NOT", one.check, one.says, one.try_next) for one in findings]
    rows += [(one.mark, f"{one.kind} {one.name}", one.says, one.try_next) for one in found]
    lines = [
        *table([row[:3] for row in rows]),
        *hints((name, helps) for mark, name, _, helps in rows if mark == "NOT"),
    ]
    cluster.answer(answer, "\n".join(lines), as_json=args.json)
    return 0 if good else 1
