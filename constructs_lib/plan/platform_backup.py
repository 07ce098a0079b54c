"""Where the platform's own state is saved, and what the nodes that save it read for that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from constructs_lib.components.model import Secret
from constructs_lib.components.platform_backup import PLATFORM_BACKUP, SECRETS
from constructs_lib.plan.model import EgressRule, PlannedSecret, PlatformBackup
from constructs_lib.plan.traffic import ANYWHERE, PORT
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.terms import BackupTargetSpec, app_secret_name


def platform_backup(spec: ClusterSpec) -> PlatformBackup | None:
    """What `platform_backup` of cluster.yaml says, None where it is not there."""
    wanted = spec.platform_backup
    if wanted is None:
        return None
    target = spec.backups[wanted.to]
    return PlatformBackup(
        repository=target.repository.rstrip("/"),
        secrets=tuple(_references(target)),
        keep_daily=wanted.keep_daily,
        keep_weekly=wanted.keep_weekly,
    )


def backup_secrets(spec: ClusterSpec, agents: tuple[PlannedSecret, ...]) -> tuple[PlannedSecret, ...]:
    """The secrets of applications that `agents` read, and those that the platform's backups need."""
    if spec.platform_backup is None:
        return agents
    found = {secret.name: secret for secret in agents}
    for variable, reference in _references(spec.backups[spec.platform_backup.to]).items():
        name = app_secret_name(reference)
        declared = Secret(
            name=name,
            kind="password" if spec.app_secrets[reference].made else "supplied",
            roles=PLATFORM_BACKUP.roles,
            to=f"{SECRETS}/{variable}",
        )
        known = found.get(name)
        found[name] = (
            replace(known, also=(*known.also, declared))
            if known
            else PlannedSecret(name=name, declared=declared, site=None, pools=())
        )
    return tuple(found.values())


def backup_egress(spec: ClusterSpec, known: Sequence[EgressRule]) -> tuple[EgressRule, ...]:
    """The port that the target's address names, for nodes that `known` rules don't let out to it already."""
    if spec.platform_backup is None:
        return ()
    ports = {int(port) for port in PORT.findall(spec.backups[spec.platform_backup.to].repository)}
    found = []
    for port in sorted(ports):
        let_out = {role for rule in known if _opens(rule, port) for role in rule.roles}
        roles = tuple(role for role in PLATFORM_BACKUP.roles if role not in let_out)
        if roles:
            found.append(
                EgressRule(
                    name=f"platform-backup-{port}",
                    port=port,
                    protocol="tcp",
                    networks=ANYWHERE,
                    why="where the platform's own state is saved",
                    roles=roles,
                )
            )
    return tuple(found)


def _opens(rule: EgressRule, port: int) -> bool:
    return rule.protocol == "tcp" and rule.networks == ANYWHERE and rule.port <= port <= rule.last


def _references(target: BackupTargetSpec) -> dict[str, str]:
    """Variable → reference in app_secrets."""
    return {"RESTIC_PASSWORD": target.password} | target.credentials
