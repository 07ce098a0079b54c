"""The masters of a site."""

from __future__ import annotations

from constructs_lib.aws.data_nodes import DataNodes
from constructs_lib.components.model import Role


class Masters(DataNodes):
    """Mesos masters with their ZooKeeper servers; arguments as of `DataNodes`."""

    role = Role.MASTER
