"""Pools with `min` and `max`: a deploy says how many agents there are, until another one says it again.

Nothing here scales by itself. Whoever does, by hand or by a program, runs one deploy with

    TF_VAR_agents_<cluster>_<site>_<pool>=7

and adds or takes the agents with the highest numbers, touching no other. A deploy that says nothing keeps as
many as the pool has ports, which neutron is asked by their tags.
"""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.openstack.tags import neutron_tags
from constructs_lib.plan.model import PoolPlan, SitePlan
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import DataSource, TerraformStack, Variable

AS_MANY_AS_THERE_ARE = -1
"""What the variable is unless somebody says a number."""


def pool_tags(plan: SitePlan, pool: PoolPlan) -> list[str]:
    """The tags of the ports of a pool's agents, on every pool: one may get `min` and `max` later."""
    return [*neutron_tags(plan), f"clustermesos:pool={pool.name}"]


def variable_name(plan: SitePlan, pool: PoolPlan) -> str:
    """`agents_demo_dc1_batch`, fit for a shell."""
    return f"agents_{prefix(plan)}_{pool.name}".replace("-", "_")


def elastic_number(scope: Scope, plan: SitePlan, pool: PoolPlan) -> str:
    """HCL for how many agents the pool has: what the variable says, else what is there, inside its bounds."""
    name = variable_name(plan, pool)
    variable = Variable(
        TerraformStack.of(scope),
        name,
        type="number",
        default=AS_MANY_AS_THERE_ARE,
        description=f"How many agents of the pool {pool.name}, from {pool.min} to {pool.max}; "
        "without it as many as there are.",
    )
    variable.add_override(
        "validation",
        [
            {
                "condition": f"${{var.{name} == {AS_MANY_AS_THERE_ARE} || "
                f"var.{name} >= {pool.min} && var.{name} <= {pool.max} && floor(var.{name}) == var.{name}}}",
                "error_message": f"{name} has to be a whole number from {pool.min} to {pool.max}: "
                f"the min and max of sites.{plan.name}.agents.{pool.name} in cluster.yaml.",
            }
        ],
    )
    there = DataSource(scope, "there", "openstack_networking_port_ids_v2", tags=pool_tags(plan, pool))
    asked = f"var.{name} == {AS_MANY_AS_THERE_ARE} ? length({there.address}.ids) : var.{name}"
    return f"max({pool.min}, min({pool.max}, {asked}))"
