"""What a deploy would send, for a lab: the same node files, packed the same, late values filled in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from constructs_lib.plan.addresses import FIRST_NODE_OFFSET
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan

SECRET_SOURCE = SecretSource(command="sh -c 'cat \"/srv/lab/secrets/$1\"' lab-secret")
"""A machine's secrets lie in a 0600 folder that only it sees, as an instance role only sees its own."""


def user_data(plan: SitePlan, files: NodeFiles) -> str:
    """The node's cloud-config, whole; LabError for a late value that a lab has no answer to."""
    text = pack(files, SECRET_SOURCE)
    return MARKER.sub(lambda match: _late(plan, match.group(1)), text)


def volume_id(node: str) -> str:
    """What a lab calls the data volume of `node`, as a platform would."""
    return f"vol-lab-{node}"


def _late(plan: SitePlan, name: str) -> str:
    kind, _, subject = name.partition(":")
    if kind == "data_volume_id":
        return volume_id(subject)
    if kind == "gateway_public_address":
        return str(plan.nodes_of(Role.GATEWAY)[0].address)
    raise LabError(f"late value {name}: a lab knows no answer to it; teach constructs_lib/lab/texts.py")


def identities(
    plan: SitePlan,
    overrides: Overrides,
    secrets: Mapping[str, str],
    apt_source: str,
    agents: Mapping[str, int] | None = None,
) -> Iterator[Identity]:
    """Every machine of the site: planned nodes, then of each pool its `min` agents, or as many as
    `agents` says.
    """
    for node in plan.nodes:
        yield _identity(plan, overrides, secrets, apt_source, node, node.name, node.address)
    for pool in plan.pools:
        wanted = pool.min if agents is None else agents.get(pool.name, 0)
        for number in range(1, wanted + 1):
            name, address = f"{pool.name}-{number}", _agent_address(plan, pool, number)
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
    own = {secret.name for secret in plan.secrets_of(role)}
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


def _agent_address(plan: SitePlan, pool: PoolPlan, number: int) -> IPv4Address:
    """Agents take what their subnet has free: here one after the other, zone by zone, pool by pool."""
    before = sum(other.max for other in plan.pools if other.slot < pool.slot)
    index = before + number - 1
    zone = plan.zones[index % len(plan.zones)]
    return zone.agents[FIRST_NODE_OFFSET + 1 + index // len(plan.zones)]
