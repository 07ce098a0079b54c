"""What a deploy would send, for a lab: the same node files, packed the same, late values filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import IPv4Address

from constructs_lib.components.model import Role
from constructs_lib.errors import LabError
from constructs_lib.lab.machine import Identity
from constructs_lib.lab.overrides import Overrides
from constructs_lib.nodes.cloud_init import pack
from constructs_lib.nodes.generation import SecretSource
from constructs_lib.nodes.late import MARKER
from constructs_lib.nodes.model import NodeFiles
from constructs_lib.nodes.render import render
from constructs_lib.plan.addresses import FIRST_NODE_OFFSET, planned_agents
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan

SECRET_SOURCE = SecretSource(command="sh -c 'cat \"/srv/lab/secrets/$1\"' lab-secret")
"""A machine's secrets lie in a 0600 folder that only it sees, as an instance role only sees its own."""
NOWHERE = "192.0.2.1"
"""Where another site's gateway would be: a lab has one site, and this address is no machine's (RFC 5737)."""


def user_data(plan: SitePlan, files: NodeFiles) -> str:
    """The node's cloud-config, whole; LabError for a late value that a lab has no answer to."""
    text = pack(files, SECRET_SOURCE)
    return MARKER.sub(lambda match: late_value(plan, match.group(1)), text)


def volume_id(node: str) -> str:
    """What a lab calls the data volume of `node`, as a platform would."""
    return f"vol-lab-{node}"


def late_value(plan: SitePlan, name: str) -> str:
    """What a lab has for a late value of the site; LabError for one that it has no answer to."""
    kind, _, subject = name.partition(":")
    if kind == "data_volume_id":
        return volume_id(subject)
    if kind == "gateway_public_address":
        own = plan.name == subject
        return str(plan.nodes_of(Role.GATEWAY)[0].address) if own else NOWHERE
    if kind == "network_mtu":
        return str(plan.mtu)
    raise LabError(f"late value {name}: a lab knows no answer to it; teach constructs_lib/lab/texts.py")


def identities(
    plan: SitePlan,
    overrides: Overrides,
    secrets: Mapping[str, str],
    apt_source: str,
    agents: Mapping[str, int] | None = None,
) -> Iterator[Identity]:
    """Every machine of the site: planned nodes, then of each pool its `min` agents, or as many as
    `agents` says; LabError where it names a pool that there is not.
    """
    pools = [pool.name for pool in plan.pools]
    if unknown := sorted(set(agents or {}) - set(pools)):
        raise LabError(f"agents: got pool {', '.join(unknown)}, expected one of {', '.join(pools) or 'none'}")
    wanted = {pool.name: pool.min if agents is None else agents.get(pool.name, 0) for pool in plan.pools}
    for node in plan.nodes:
        yield _identity(plan, overrides, secrets, apt_source, node, node.name, node.address)
    for pool in plan.pools:
        for number, address in enumerate(agent_addresses(plan, pool, wanted), 1):
            name = f"{pool.name}-{number}"
            yield _identity(plan, overrides, secrets, apt_source, pool, name, address)


def _identity(
    plan: SitePlan,
    overrides: Overrides,
    secrets: Mapping[str, str],
    apt_source: str,
    node: NodePlan | PoolPlan,
    name: str,
    address: IPv4Address,
) -> Identity:
    role = node.role if isinstance(node, NodePlan) else Role.AGENT
    files = render(plan, node, without=overrides.without)
    own = {secret.name for secret in plan.secrets_of(role, None if isinstance(node, NodePlan) else node.name)}
    return Identity(
        name=name,
        address=address,
        role=role,
        user_data=user_data(plan, files),
        secrets={key: value for key, value in secrets.items() if key in own},
        volume=volume_id(name) if isinstance(node, NodePlan) and node.data_volume else None,
        apt_source=apt_source,
        users=files.users,
    )


def agent_addresses(plan: SitePlan, pool: PoolPlan, wanted: Mapping[str, int]) -> list[IPv4Address]:
    """The planned ones. Where the platform chooses, agents take what their subnet has free: here one after
    the other, zone by zone, pool by pool.
    """
    count = wanted[pool.name]
    if pool.ranges:
        planned = planned_agents(replace(pool, max=max(pool.max, count)), plan.zones)
        return [agent.address for agent in planned[:count]]
    before = sum(max(other.max, wanted[other.name]) for other in plan.pools if other.slot < pool.slot)
    zones = len(plan.zones)
    return [
        plan.zones[index % zones].agents[FIRST_NODE_OFFSET + 1 + index // zones]
        for index in range(before, before + count)
    ]
