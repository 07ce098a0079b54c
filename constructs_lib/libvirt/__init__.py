"""libvirt: what people import into their own stacks.

    MesosCluster   a whole site
    Network        its network, or `Network.existing(...)`
    Masters, ConsulNode, Gateway, Edge, AgentPool   each alone
    site_provider  the providers of the site's stack, one for each host

Every construct takes `(scope, id, *, plan, …)`; the plan comes from `constructs_lib.plan`. libvirt has no
firewall: the one on each node, from the same traffic table, is it.
"""

from __future__ import annotations

from constructs_lib.libvirt.agents import AgentPool
from constructs_lib.libvirt.cluster import MesosCluster
from constructs_lib.libvirt.consul_node import ConsulNode
from constructs_lib.libvirt.edge import Edge
from constructs_lib.libvirt.gateway import Gateway
from constructs_lib.libvirt.masters import Masters
from constructs_lib.libvirt.network import Network
from constructs_lib.libvirt.provider import site_provider
from constructs_lib.libvirt.secrets import Secrets
from constructs_lib.libvirt.storage import Storage

__all__ = [
    "AgentPool",
    "ConsulNode",
    "Edge",
    "Gateway",
    "Masters",
    "MesosCluster",
    "Network",
    "Secrets",
    "Storage",
    "site_provider",
]
