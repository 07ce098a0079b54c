"""AWS: what people import into their own stacks.

    MesosCluster   a whole site
    Network        its VPC, or `Network.existing(...)`
    Masters, ConsulNode, Gateway, Edge, AgentPool   each alone
    site_provider  the provider of the site's stack

Every construct takes `(scope, id, *, plan, …)`; the plan comes from `constructs_lib.plan`.
"""

from __future__ import annotations

from constructs_lib.aws.agents import AgentPool
from constructs_lib.aws.backup import BackupBucket
from constructs_lib.aws.cluster import MesosCluster
from constructs_lib.aws.consul_node import ConsulNode
from constructs_lib.aws.edge import Edge
from constructs_lib.aws.firewall import Firewall
from constructs_lib.aws.gateway import Gateway
from constructs_lib.aws.iam import NodeAccess
from constructs_lib.aws.masters import Masters
from constructs_lib.aws.network import Network, Subnet, ZoneSubnets
from constructs_lib.aws.provider import site_provider
from constructs_lib.aws.secrets import Secrets

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
    "NodeAccess",
    "Secrets",
    "Subnet",
    "ZoneSubnets",
    "site_provider",
]
