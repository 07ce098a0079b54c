"""The masters of a site."""

from __future__ import annotations

from constructs_lib.components.model import Role
from constructs_lib.libvirt.data_nodes import DataNodes


class Masters(DataNodes):
    """Mesos masters with their ZooKeeper servers; arguments as of `DataNodes`."""

    role = Role.MASTER
