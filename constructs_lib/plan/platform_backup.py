"""Where the platform's own state is saved, and what the nodes that save it read for that."""

from __future__ import annotations

from dataclasses import replace

from constructs_lib.components.model import Secret
from constructs_lib.components.platform_backup import PLATFORM_BACKUP, SECRETS
from constructs_lib.plan.model import PlannedSecret, PlatformBackup
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


def _references(target: BackupTargetSpec) -> dict[str, str]:
    """Variable → reference in app_secrets."""
    return {"RESTIC_PASSWORD": target.password} | target.credentials
