"""The Consul servers of a site, which also hold the private registry."""

from __future__ import annotations

from constructs_lib.aws.data_nodes import DataNodes
from constructs_lib.components.model import Role


class ConsulNode(DataNodes):
    """Consul servers; arguments as of `DataNodes`."""

    role = Role.CONSUL
