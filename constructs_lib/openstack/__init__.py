"""OpenStack: what people import into their own stacks.

    MesosCluster   a whole site
    Network        its network, subnet and router, or `Network.existing(...)`
    Masters, ConsulNode, Gateway, Edge, AgentPool   each alone
    BackupBucket   a container for backups
    site_provider  the provider of the site's stack

Every construct takes `(scope, id, *, plan, …)`; the plan comes from `constructs_lib.plan`.
"""

from __future__ import annotations

from constructs_lib.openstack.agents import AgentPool
from constructs_lib.openstack.backup import BackupBucket
from constructs_lib.openstack.cluster import MesosCluster
from constructs_lib.openstack.consul_node import ConsulNode
from constructs_lib.openstack.edge import Edge
from constructs_lib.openstack.firewall import Firewall
from constructs_lib.openstack.gateway import Gateway
from constructs_lib.openstack.masters import Masters
from constructs_lib.openstack.network import Network
from constructs_lib.openstack.provider import site_provider
from constructs_lib.openstack.secrets import Secrets

__all__ = [
    "AgentPool",
    "BackupBucket",
    "ConsulNode",
    "Edge",
    "Firewall",
    "Gateway",
    "Masters",
    "MesosCluster",
    "Network",
    "Secrets",
    "site_provider",
]
