"""Backups of the platform's own state: Consul's, ZooKeeper's and the registry's, by restic, from the nodes.

Which state there is, and how it is copied, verified and put back, each component declares itself (`backup=`);
this one runs their scripts by timers, and is on no node unless cluster.yaml names a target.
"""

from __future__ import annotations

from constructs_lib.components.alert import Alert
from constructs_lib.components.model import Component, Directory, File, Role

TIMER = "platform-backup.timer"
TEST_TIMER = "platform-backup-test.timer"
PARTS = "/usr/local/libexec/platform-backup"
"""A script for each component of the node that has state to save."""
WORK = "/srv/data/platform-backup"
"""Copies on their way, and the lock that lets one run at a time."""
SECRETS = "/etc/clustermesos/platform-backup"
"""What restic needs to reach and to read the target, each in a file named like its variable."""
SAVED = "clustermesos_platform_backup_success_timestamp_seconds"
"""Metrics of each state on each node: when it was saved last, and when it came back last, in seconds since
1970, 0 for never; and whether the last attempt at either failed.
"""
PROVED = "clustermesos_platform_restore_verified_timestamp_seconds"
SAVE_FAILED = "clustermesos_platform_save_failed"
TEST_FAILED = "clustermesos_platform_test_failed"
OVERDUE_SECONDS = 86400
"""Four backups a day."""
UNPROVED_SECONDS = 14 * 86400
"""A restore test a week."""

PLATFORM_BACKUP = Component(
    name="platform_backup",
    summary="saves the platform's own state to the target that `platform_backup` names, and tests restores",
    roles=(Role.MASTER, Role.CONSUL),
    saves=True,
    software=None,
    packages=("restic",),
    files=(
        File("platform-backup", to="/usr/local/sbin/platform-backup", mode=0o755, carried=True),
        File("platform-backup.env.j2", to="/etc/clustermesos/platform-backup.env"),
        File("platform-backup.service", to="/etc/systemd/system/platform-backup.service"),
        File(TIMER, to=f"/etc/systemd/system/{TIMER}", restarts=TIMER),
        File("platform-backup-test.service", to="/etc/systemd/system/platform-backup-test.service"),
        File(TEST_TIMER, to=f"/etc/systemd/system/{TEST_TIMER}", restarts=TEST_TIMER),
    ),
    directories=(
        Directory(path=SECRETS, mode=0o700),
        Directory(path=WORK, mode=0o700),
    ),
    units=(TIMER, TEST_TIMER),
    alerts=(
        Alert(
            name="PlatformBackupOverdue",
            expr=f"(time() - {SAVED}) > {OVERDUE_SECONDS}",
            wait="1h",
            summary="no backup of {{ $labels.state }} on {{ $labels.instance }} for a day or longer",
            next="journalctl -u platform-backup on the node; docs/platform-backup.md",
        ),
        Alert(
            name="PlatformBackupNever",
            expr=f"absent({SAVED})",
            wait="12h",
            summary="no node has tried to save the platform's state since Prometheus looks",
            next="systemctl list-timers platform-backup.timer on a Consul node; docs/platform-backup.md",
        ),
        Alert(
            name="PlatformRestoreUnproved",
            expr=f"(time() - {PROVED}) > {UNPROVED_SECONDS}",
            wait="1h",
            summary="no backup of {{ $labels.state }} on {{ $labels.instance }} came back for 14 days",
            next="journalctl -u platform-backup-test on the node; docs/platform-backup.md",
            severity="ticket",
        ),
    ),
)
