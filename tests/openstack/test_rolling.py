from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.access.deployed import Deployed
from constructs_lib.errors import RollError
from constructs_lib.openstack.rolling import KINDS, agent_group
from tests.openstack.clusters import site_plan


def deployed(pools: dict[str, Any]) -> Deployed:
    return Deployed(cluster="demo", site="dc1", platform="openstack", nodes={}, pools=pools)


AGENTS = {
    f"general-{number}": {"id": f"id-{number}", "address": f"10.20.32.{number}"} for number in range(1, 12)
}


def test_a_machines_planned_address_is_in_its_metadata_since_nova_tells_its_own_only_afterwards() -> None:
    assert KINDS.address_of({"metadata": {"clustermesos:address": "10.20.16.11"}}) == "10.20.16.11"
    assert KINDS.address_of({"access_ip_v4": "10.20.16.11"}) is None


def test_agents_are_those_of_the_last_deploy_in_the_order_of_their_numbers() -> None:
    pools = {"general": {"min": 11, "max": 11, "agents": AGENTS}}

    agents = agent_group(site_plan(), deployed(pools), "general").agents()

    assert [agent.id for agent in agents] == [f"general-{number}" for number in range(1, 12)]
    assert agents[1].address == "10.20.32.2"


def test_a_pool_that_is_not_deployed_is_named() -> None:
    with pytest.raises(RollError, match="batch: no such pool is deployed in dc1, only none: cdktf deploy"):
        agent_group(site_plan(), deployed({}), "batch")


def test_what_only_a_scaler_could_tell_is_refused_with_the_way_to_do_it() -> None:
    pools = {"general": {"min": 11, "max": 11, "agents": AGENTS}}
    group = agent_group(site_plan(), deployed(pools), "general")

    for asked in (group.newest, lambda: group.replace(group.agents()[0])):
        with pytest.raises(RollError, match=r"general: .*: clustermesos roll agents general"):
            asked()
