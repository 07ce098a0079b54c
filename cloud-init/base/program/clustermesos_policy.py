"""No service starts because its package was installed: its files are not there yet.

invoke-rc.d and deb-systemd-invoke, by which packages start services, ask /usr/sbin/policy-rc.d first.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from clustermesos_disk import Disk, write
from clustermesos_node import Failure, ask

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

POLICY, LATE = "/usr/sbin/policy-rc.d", "/run/clustermesos-late"
ASIDE = f"{POLICY}.clustermesos"
# A service that has run since the boot is let through: its package is upgraded. So is the resolver of names:
# its package has made /etc/resolv.conf a link to what it writes, and the next one could not be fetched.
TEXT = """#!/bin/sh
# clustermesos-apply has this here while it installs packages, and starts itself what does not start now.
# What was here before is policy-rc.d.clustermesos: it is asked, too, and comes back.
quiet=
case $1 in -*) quiet=$1 && shift ;; esac
if [ "$2" = start ] && [ "$1" != systemd-resolved.service ] &&
  ! [ "$(systemctl show -P ActiveEnterTimestampMonotonic "$1")" -gt 0 ]; then
  echo "$1" >>@late@
  exit 101
fi
[ ! -x "$0.clustermesos" ] || exec "$0.clustermesos" $quiet "$@"
"""


@contextlib.contextmanager
def held_back(disk: Disk) -> Iterator[None]:
    """While packages are installed: what they would start for the first time is noted instead."""
    give_back(disk)
    policy, text = disk.at(POLICY), TEXT.replace("@late@", str(disk.at(LATE)))
    try:
        try:
            policy.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(policy):
                policy.rename(disk.at(ASIDE))
            write(policy, text.encode(), 0o755, os.getuid(), os.getgid())
        except OSError as error:
            raise Failure(f"cannot write {POLICY}: {error.strerror}") from None
        yield
    finally:
        give_back(disk)


def give_back(disk: Disk) -> None:
    """The machine's own policy, or none; also after a power cut."""
    policy, aside = disk.at(POLICY), disk.at(ASIDE)
    if os.path.lexists(aside):
        aside.replace(policy)
    elif policy.exists() and TEXT.splitlines()[1].encode() in policy.read_bytes():
        policy.unlink()


def start_late(disk: Disk, others: Collection[str]) -> None:
    """Starts what was held back, as its package would have, but for units that are started by `others`."""
    noted = disk.at(LATE)
    words = noted.read_text().split() if noted.exists() else []
    for unit in dict.fromkeys(word if "." in word else f"{word}.service" for word in words):
        if unit not in others:
            ask("deb-systemd-invoke", "start", unit)
    noted.unlink(missing_ok=True)
