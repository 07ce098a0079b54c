"""The real terraform with the real plugins reads every stack of linked clusters, whoever is the home."""

from __future__ import annotations

from functools import cache

import pytest
import yaml

from tests.hybrid.clusters import Json, synthesized_of
from tests.hybrid.conftest import Run
from tests.hybrid.linked import NAMES, linked, planned, platforms
from tests.openstack.test_validate import validate

SITES = [(name, site, platform) for name in NAMES for site, platform in platforms(name).items()]


@cache
def stacks(name: str) -> dict[str, Json]:
    return synthesized_of(yaml.safe_dump(linked(name), sort_keys=False))[1]


@pytest.mark.terraform
@pytest.mark.parametrize(("name", "site", "platform"), SITES, ids=["-".join(each) for each in SITES])
def test_terraform_takes_the_stack_of_a_linked_site(
    name: str, site: str, platform: str, terraform_for: Run
) -> None:
    validate(terraform_for(platform), stacks(name)[site])


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_site_that_is_called_by_its_address_is_read_by_its_caller_alone(name: str) -> None:
    """What makes the validated stacks refer to each other: one reads the other's state, never both."""
    reads = {
        (site, other)
        for site, stack in stacks(name).items()
        for other in planned(name).sites
        if f"demo-{other}.tfstate" in str(stack.get("data", {}).get("terraform_remote_state", {}))
    }

    assert not {(other, site) for site, other in reads} & reads
    assert bool(reads) is (name != "relayed")
