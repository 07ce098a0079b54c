"""The Consul servers of a site, which also hold the private registry."""

from __future__ import annotations

from constructs_lib.components.model import Role
from constructs_lib.libvirt.data_nodes import DataNodes


class ConsulNode(DataNodes):
    """Consul servers; arguments as of `DataNodes`."""

    role = Role.CONSUL
