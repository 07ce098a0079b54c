"""A contract's alert rules, and where Prometheus reads its metrics.

Every rule stands on a metric that something of the platform tells: `up` of the contract's own targets,
`edge_requests_total` of the edges, and what the backup jobs leave for the agents' node exporter
(`clustermesos_backup_…`, `clustermesos_restore_…`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypedDict

from constructs_lib.components.model import Role
from constructs_lib.contracts.marathon_app import service_name
from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.ops import AlertsSpec, BackupSpec
from constructs_lib.contracts.placement import eligible
from constructs_lib.contracts.schedule import interval, overdue_after
from constructs_lib.plan.model import ClusterPlan

Rule = dict[str, Any]


class Texts(TypedDict):
    """What two rules about one thing say."""

    summary: str
    description: str
    severity: str | None


_PRUNED, _CHECKED = timedelta(days=3), timedelta(days=15)


def targets(contract: AppContract) -> tuple[dict[str, Any], ...]:
    """Where the metrics are, in the form of `file_sd_configs`, by the name of the service."""
    metrics = contract.dev.metrics
    if metrics is None:
        return ()
    port = metrics.port or contract.dev.main_port or ""
    labels = {"contract": contract.name, "owner": contract.owner, "__metrics_path__": metrics.path}
    return ({"targets": [f"{service_name(contract, port)}.service.consul"], "labels": labels},)


@dataclass(frozen=True, kw_only=True)
class Group:
    """A group of rules, and the sites whose Prometheus has what they ask for."""

    name: str
    rules: tuple[Rule, ...]
    sites: tuple[str, ...]


def groups(contract: AppContract, plan: ClusterPlan) -> tuple[Group, ...]:
    """All groups that have a rule. A Prometheus sees its own site alone."""
    home = next(iter(plan.sites.values())).home
    running = tuple(sorted({spot.site.name for spot in eligible(contract, plan)}))
    edges = tuple(name for name, site in plan.sites.items() if site.nodes_of(Role.EDGE))
    found = (
        Group(name=contract.name, rules=tuple(_of_app(contract, running)), sites=running),
        Group(name=f"{contract.name}-route", rules=tuple(_of_route(contract)), sites=edges),
        Group(name=f"{contract.name}-backup", rules=tuple(_of_backup(contract)), sites=(home,)),
    )
    return tuple(group for group in found if group.rules)


def _of_app(contract: AppContract, running: tuple[str, ...]) -> Iterator[Rule]:
    alerts = contract.ops.alerts
    if alerts and contract.dev.metrics:
        yield _down(contract, alerts) if len(running) == 1 else _gone(contract, alerts)
        yield _failing(contract)
        yield _restarts(contract, alerts)


def _of_route(contract: AppContract) -> Iterator[Rule]:
    if contract.ops.alerts and contract.ops.route:
        yield _errors(contract, contract.ops.alerts)


def _gone(contract: AppContract, alerts: AlertsSpec) -> Rule:
    """Of what may run at several sites a site knows only its own: none answers, and some did within a day."""
    mine = f'up{{contract="{contract.name}"}}'
    return _rule(
        contract,
        "AppDown",
        f"(sum({mine}) or vector(0)) < 1 and on () count(count_over_time({mine}[1d])) > 0",
        wait=timedelta(seconds=alerts.down_seconds),
        summary=f"{contract.name}: no instance answers at this site",
        description=f"Some did within the day. Next: clustermesos explain {contract.name}",
    )


def _down(contract: AppContract, alerts: AlertsSpec) -> Rule:
    least = -(-contract.ops.instances.min * alerts.min_percent // 100)
    up = f'sum(up{{contract="{contract.name}"}})'
    return _rule(
        contract,
        "AppDown",
        f"({up} or vector(0)) < {max(1, least)}",
        wait=timedelta(seconds=alerts.down_seconds),
        summary=f"{contract.name}: {{{{ $value }}}} of {contract.ops.instances.min} instances answer",
        description=f"Fewer than {alerts.min_percent} % answer. Next: clustermesos explain {contract.name}",
    )


def _failing(contract: AppContract) -> Rule:
    """Many at once fall silent, however many are left: what one version, or one thing that all need, does.

    Those that have not answered yet are left out, so that a deployment's new instances are no failure.
    """
    mine = f'up{{contract="{contract.name}"}}'
    answered = f"max_over_time({mine}[1h]) == 1"
    return _rule(
        contract,
        "AppFailing",
        f"count({answered} and {mine} == 0) / count({answered} and {mine}) > 1 / 3",
        wait=timedelta(minutes=1),
        summary=f"{contract.name}: {{{{ $value | humanizePercentage }}}} of the instances stopped answering",
        description=f"More than a third within a minute. Next: clustermesos explain {contract.name}",
    )


def _restarts(contract: AppContract, alerts: AlertsSpec) -> Rule:
    """A restarted instance is another one: those seen within the hour, less those that are there.

    A deployment replaces every instance once, which is no restart.
    """
    mine = f'up{{contract="{contract.name}"}}'
    allowed = alerts.restarts_per_hour + contract.ops.instances.max
    return _rule(
        contract,
        "AppRestarts",
        f"count(count_over_time({mine}[1h])) - count({mine}) > {allowed}",
        severity="ticket",
        summary=f"{contract.name}: {{{{ $value }}}} instances were replaced within an hour",
        description=f"A crash, or the restart check. Next: clustermesos explain {contract.name}",
    )


def _errors(contract: AppContract, alerts: AlertsSpec) -> Rule:
    all_of = f'edge_requests_total{{route="{contract.name}"}}'
    bad = f'edge_requests_total{{route="{contract.name}",status=~"5.."}}'
    return _rule(
        contract,
        "RouteErrors",
        f"sum(rate({bad}[5m])) / sum(rate({all_of}[5m])) > {alerts.error_percent / 100:g}",
        wait=timedelta(minutes=2),
        summary=f"{contract.name}: {{{{ $value | humanizePercentage }}}} of the edge's answers are 5xx",
        description=f"More than {alerts.error_percent} %. Next: clustermesos explain {contract.name}",
    )


def _of_backup(contract: AppContract) -> Iterator[Rule]:
    backup = contract.ops.backup
    if backup is None:
        return
    every, tested = interval(backup.schedule), interval(backup.restore_test)
    late = overdue_after(every)
    yield from _overdue(
        contract,
        backup,
        "BackupOverdue",
        "backup_success",
        late,
        f"no backup for {_words(late)}",
        each_node=True,
    )
    yield from _overdue(
        contract,
        backup,
        "RestoreUnproved",
        "restore_verified",
        2 * tested,
        f"no verified restore for {_words(2 * tested)}",
        each_node=True,
    )
    for alert, metric, after, what in (
        ("PruneOverdue", "prune_success", _PRUNED, "old snapshots stay"),
        ("RepositoryUnchecked", "check_success", _CHECKED, "the repository is unchecked or bad"),
    ):
        yield from _overdue(contract, backup, alert, metric, after, what, severity="ticket")
    series = _series(contract, backup)
    yield _rule(
        contract,
        "BackupEmpty",
        f"clustermesos_backup_files{series} == 0",
        summary=f"{contract.name}: the last backup of {backup.volume} found no file",
        description="An empty volume is no backup: is it mounted, and at the right place?",
    )
    yield _rule(
        contract,
        "BackupShrank",
        f"clustermesos_backup_bytes{series} < 0.5 * max_over_time(clustermesos_backup_bytes{series}"
        f"[{_duration(3 * every)}])",
        severity="ticket",
        summary=f"{contract.name}: the last backup of {backup.volume} is less than half of one before",
        description="Was so much deleted? What is missing is still in the older snapshots.",
    )
    yield _rule(
        contract,
        "BackupGrew",
        f"clustermesos_backup_bytes{series} > 3 * min_over_time(clustermesos_backup_bytes{series}"
        f"[{_duration(3 * every)}])",
        severity="ticket",
        summary=f"{contract.name}: the last backup of {backup.volume} is more than three times one before",
        description="Is it all meant to be there? The repository and the restore test need room for it.",
    )


def _overdue(
    contract: AppContract,
    backup: BackupSpec,
    alert: str,
    metric: str,
    after: timedelta,
    what: str,
    *,
    severity: str | None = None,
    each_node: bool = False,
) -> Iterator[Rule]:
    """Too old, by the oldest where several nodes tell it; or never told at all, by `each_node` or by any."""
    name = f"clustermesos_{metric}_timestamp_seconds"
    series = _series(contract, backup)
    newest = f"max by (saved_host) ({name}{series})"
    seconds = int(after.total_seconds())
    summary = f"{contract.name}: {what} (volume {backup.volume})"
    description = f"Next: clustermesos backups {contract.name}"
    late = f"time() - min({newest}) > {seconds}"
    said: Texts = {"summary": summary, "description": description, "severity": severity}
    yield _rule(contract, alert, late, **said)
    # `absent` knows nothing of when it began: what is new gets as long as what is late. Of several nodes with
    # data of their own each has to tell.
    nodes: list[str | None] = [str(node) for node in contract.ops.nodes] if each_node else []
    each = (_series(contract, backup, node) for node in nodes or [None])
    absent = " or ".join(f"absent({name}{one})" for one in each)
    if nodes:
        said["summary"] += ", node {{ $labels.saved_host }}"
    yield _rule(contract, f"{alert}Never", absent, wait=after, **said)


def _series(contract: AppContract, backup: BackupSpec, node: str | None = None) -> str:
    host = f',saved_host="{node}"' if node else ""
    return f'{{contract="{contract.name}",volume="{backup.volume}"{host}}}'


def _rule(
    contract: AppContract,
    alert: str,
    expression: str,
    *,
    summary: str,
    description: str,
    wait: timedelta = timedelta(0),
    severity: str | None = None,
) -> Rule:
    alerts = contract.ops.alerts
    labels = {
        "severity": severity or ("page" if alerts is None or alerts.page else "ticket"),
        "contract": contract.name,
        "owner": contract.owner,
        "on_call": contract.on_call or contract.owner,
    }
    runbook = {"runbook_url": alerts.runbook} if alerts and alerts.runbook else {}
    return {
        "alert": alert,
        "expr": expression,
        **({"for": _duration(wait)} if wait else {}),
        "labels": labels,
        "annotations": {"summary": summary, "description": description, **runbook},
    }


def _duration(span: timedelta) -> str:
    """`90s`, as Prometheus writes it."""
    return f"{int(span.total_seconds())}s"


def _words(span: timedelta) -> str:
    hours = span.total_seconds() / 3600
    return f"{hours / 24:g} days" if hours >= 48 else f"{hours:g} hours"
