"""`clustermesos backups`: what saves, proves and forgets, and how each ended last."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from constructs_lib.cli.platform import CHECK, Cluster, add_options

if TYPE_CHECKING:
    from constructs_lib.contracts.compiled import Compiled
    from constructs_lib.hooks.hook import Verdict
    from constructs_lib.hooks.platform import Platform
    from constructs_lib.hooks.platform_backups import SavedState

UNSAVED = (
    "its own state (Consul, ZooKeeper, registry) is not saved: cluster.yaml has no platform_backup "
    "(docs/platform-backup.md)"
)
WORDS = "docs/mesos.md, Consoles: the sandbox of its last task has its words"


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "backups",
        help="list backups, applications' and the platform's own, and how they ended last",
        description="Lists the jobs that back applications up, test that they can be restored, forget old "
        "snapshots and check repositories, with their last success and failures since, and the backups of "
        "the platform's own state (Consul, ZooKeeper, the registry) on each node that holds some. A backup "
        "that no restore has proved is marked with ?, one whose restore test failed last with NOT. Nothing "
        "is changed.",
        epilog="Exit codes: 0 none failed last, 1 one did, is overdue or is missing; 2 wrong input.",
    )
    parser.add_argument("contract", metavar="APP", nargs="?", help="of this contract, or this job, alone")
    add_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """List them."""
    from constructs_lib.hooks.platform_backups import platform_backups
    from constructs_lib.hooks.report import hints, table
    from constructs_lib.hooks.restoring import contract_of

    cluster = Cluster.of(args)
    name = (args.contract or "").partition(".")[0]
    compiled, left_out = cluster.compiled_but([name] if name else ())
    if name:
        left_out = ""
        contract_of(compiled, name)
    with cluster.looked_at() as platform:
        jobs = _jobs(platform, compiled, args.contract)
        own = () if args.contract else platform_backups(cluster.plan, platform.endpoints, platform.deadline)
    now = time.time()
    found = [*(verdict for verdict, _ in jobs), *(one.verdict(now) for one in own)]
    good = all(one.good for one in found) and not left_out
    saved = any(site.platform_backup for site in cluster.plan.sites.values())
    rows = [(one.mark, _shown(one), one.says) for one in found]
    rows += [] if name or saved else [("?", "platform", UNSAVED)]
    rows += [("NOT", "contracts", f"{left_out} ({CHECK} lists all)")] if left_out else []
    lines = [
        *table(rows),
        *hints((_shown(one), one.try_next) for one in found if not (one.good and one.sure)),
    ]
    answer = {
        "good": good,
        "jobs": [row for _, row in jobs],
        "platform": _plain(own, now),
        "left_out": left_out or None,
    }
    cluster.answer(answer, "\n".join(lines) or "no backups", as_json=args.json)
    return 0 if good else 1


def _jobs(
    platform: Platform, compiled: Compiled, wanted: str | None
) -> list[tuple[Verdict, dict[str, object]]]:
    """Each job's verdict, and what is told of it as JSON; one verdict that is not good without an answer."""
    from constructs_lib.hooks.api_error import ApiError
    from constructs_lib.hooks.hook import Verdict
    from constructs_lib.hooks.jobs import Jobs

    if not platform.endpoints.has("chronos"):
        return []
    hook = Jobs(platform.chronos, compiled, now=platform.now)
    try:
        state = hook.read()
    except ApiError as error:
        # What the platform saves by itself is asked for when the masters are gone.
        silent = Verdict(
            kind="job", name="chronos", good=False, says=str(error), try_next="clustermesos status"
        )
        return [(silent, _row(silent, {}))]
    found = [_further(one) for one in hook.verify(state) if _meant(one.name, wanted)]
    return [(one, _row(one, state.ours.get(one.name) or {})) for one in found]


def _further(verdict: Verdict) -> Verdict:
    """Elsewhere a job that failed leads here; here, to what it said."""
    typed = (verdict.try_next or "").startswith("clustermesos backups ")
    return replace(verdict, try_next=WORDS) if typed else verdict


def _row(verdict: Verdict, there: Any) -> dict[str, object]:
    return {
        "job": verdict.name,
        "good": verdict.good,
        "sure": verdict.sure,
        "says": verdict.says,
        "last_success": there.get("lastSuccess") or None,
        "last_failure": there.get("lastError") or None,
        "try_next": verdict.try_next,
    }


def _plain(own: Iterable[SavedState], now: float) -> list[dict[str, object]]:
    return [one.plain(now) for one in own]


def _shown(verdict: Verdict) -> str:
    return verdict.name if verdict.kind == "job" else f"{verdict.kind}: {verdict.name}"


def _meant(job: str, wanted: str | None) -> bool:
    return wanted is None or job == wanted or job.startswith(f"{wanted}.")
