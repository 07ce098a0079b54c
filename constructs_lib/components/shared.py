"""A shared file system on a pool's agents, mounted before the Mesos agent takes its first task."""

from __future__ import annotations

from constructs_lib.components.model import Component, File, Role, UnitActive

MOUNT = "srv-shared.mount"

SHARED = Component(
    name="shared",
    summary="the shared file system that a pool names, at /srv/shared",
    roles=(Role.AGENT,),
    only_where="pool.spec.shared",
    software=None,
    packages=("{{ 'nfs-common' if pool.spec.shared.type == 'nfs' else 'ceph-common' }}",),
    files=(
        File("srv-shared.mount.j2", to=f"/etc/systemd/system/{MOUNT}", restarts=MOUNT),
        File(
            "agent.conf",
            to="/etc/systemd/system/mesos-agent.service.d/shared.conf",
            restarts="mesos-agent.service",
        ),
    ),
    units=(MOUNT,),
    health=(UnitActive(unit=MOUNT),),
)
