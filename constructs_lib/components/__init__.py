"""The components and their registry: adding one is its module, its folder and one line here."""

from __future__ import annotations

from constructs_lib.components.base import BASE
from constructs_lib.components.chronos import CHRONOS
from constructs_lib.components.consul import CONSUL
from constructs_lib.components.consul_template import CONSUL_TEMPLATE
from constructs_lib.components.docker import DOCKER
from constructs_lib.components.logs import LOGS
from constructs_lib.components.marathon import MARATHON
from constructs_lib.components.mesos_agent import MESOS_AGENT
from constructs_lib.components.mesos_master import MESOS_MASTER
from constructs_lib.components.model import Component, Role
from constructs_lib.components.nginx import NGINX
from constructs_lib.components.node_exporter import NODE_EXPORTER
from constructs_lib.components.platform_backup import PLATFORM_BACKUP
from constructs_lib.components.prometheus import PROMETHEUS
from constructs_lib.components.python import PYTHON
from constructs_lib.components.registrator import REGISTRATOR
from constructs_lib.components.registry import REGISTRY
from constructs_lib.components.shared import SHARED
from constructs_lib.components.site_link import SITE_LINK
from constructs_lib.components.site_routes import SITE_ROUTES
from constructs_lib.components.zookeeper import ZOOKEEPER

COMPONENTS: tuple[Component, ...] = (
    BASE,
    LOGS,
    NODE_EXPORTER,
    SITE_LINK,
    SITE_ROUTES,
    PYTHON,
    SHARED,
    DOCKER,
    ZOOKEEPER,
    MESOS_MASTER,
    MARATHON,
    CHRONOS,
    CONSUL,
    REGISTRY,
    MESOS_AGENT,
    REGISTRATOR,
    PROMETHEUS,
    NGINX,
    CONSUL_TEMPLATE,
    PLATFORM_BACKUP,
)
"""In the order in which a node installs and starts them."""


def components_of(role: Role) -> tuple[Component, ...]:
    """The components that a node of `role` runs, in installation order."""
    return tuple(component for component in COMPONENTS if role in component.roles)


def component_names() -> tuple[str, ...]:
    """Names that `software:` of cluster.yaml may override: every component that has software of its own."""
    return tuple(component.name for component in COMPONENTS if component.software is not None)


__all__ = ["COMPONENTS", "component_names", "components_of"]
