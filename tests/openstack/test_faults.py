"""A deploy that the cloud stops in the middle ends in its own words, and the next one finishes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from constructs_lib.plan.model import SitePlan
from tests.openstack.clusters import cluster_stack, settings, with_site
from tests.openstack.clusters import plan_of as planned
from tests.openstack.conftest import Terraform
from tests.openstack.deployed import Deployment, counted, doubled, errors, said
from tests.openstack.double import OpenstackDouble
from tests.openstack.double_faults import Fault, cinder_quota, conflict, crash, neutron_quota, nova_quota
from tests.openstack.double_server import running

pytestmark = pytest.mark.terraform
PORTS, SERVERS = r"/network/v2\.0/ports", r"/compute/v2\.1/servers"
FAULTS = {
    "quota-of-instances": (Fault("POST", SERVERS, nova_quota(), after=2), "Quota exceeded for instances"),
    "quota-of-ports": (Fault("POST", PORTS, neutron_quota("port"), after=2), "Quota exceeded for resources"),
    "quota-of-volumes": (Fault("POST", "/volume/v3/p/volumes", cinder_quota()), "gigabytes quota"),
    "a-port-crashes": (Fault("POST", PORTS, crash(), after=3), "internal server error"),
    "a-group-conflicts": (
        Fault("POST", r"/network/v2\.0/security-groups", conflict(), after=1),
        "current revision is 4",
    ),
    "a-floating-address-crashes": (Fault("POST", r"/network/v2\.0/floatingips", crash()), "internal server"),
    "an-address-of-the-router-crashes": (
        Fault("PUT", r"/network/v2\.0/routers/[0-9a-f-]+/add_router_interface", crash()),
        "internal server error",
    ),
}


@pytest.fixture
def double() -> Iterator[OpenstackDouble]:
    with running() as one:
        yield one


def small(**site: object) -> SitePlan:
    return planned(with_site(settings("small"), protect_data=False, **site))


@pytest.fixture(scope="module")
def whole(openstack_terraform: Terraform) -> dict[str, int]:
    """What there is of each kind after a deploy that nothing stopped."""
    with running() as one:
        deployment = Deployment.of(small(), one, openstack_terraform)
        deployment.apply()
        return counted(one)


@pytest.mark.parametrize(("fault", "words"), FAULTS.values(), ids=FAULTS)
def test_a_deploy_that_is_refused_says_why_and_the_next_one_finishes_with_nothing_doubled(
    fault: Fault,
    words: str,
    double: OpenstackDouble,
    whole: dict[str, int],
    openstack_terraform: Terraform,
) -> None:
    deployment = Deployment.of(small(), double, openstack_terraform)
    double.faults.append(fault)

    stopped = deployment.try_to_apply()
    between = counted(double)
    deployment.apply()

    assert (stopped.returncode, fault.refused) == (1, 1)
    assert words in said(stopped), errors(stopped)
    assert between != whole
    assert counted(double) == whole
    assert doubled(double) == {}
    assert deployment.changes() == {}


def test_a_master_without_a_host_of_its_own_is_made_again_on_its_port_with_its_volume(
    double: OpenstackDouble, openstack_terraform: Terraform
) -> None:
    deployment = Deployment.of(small(masters={"count": 3}), double, openstack_terraform)
    double.nova.hosts = 2

    stopped = deployment.try_to_apply()
    assert stopped.returncode == 1
    assert "unexpected state 'ERROR'" in said(stopped), errors(stopped)
    failed = [one for one in double.kept["servers"].values() if one["status"] == "ERROR"]
    ports, volumes = ({**double.kept[kind]} for kind in ("ports", "volumes"))
    double.nova.hosts = 3
    again = deployment.changes()
    deployment.apply()

    (lost,) = failed
    number = lost["name"][-1]
    assert again[f'openstack_compute_instance_v2.small_masters["master-{number}"]'] == "replaced"
    assert "replaced" not in {verb for address, verb in again.items() if "masters" not in address}
    made = double.named("servers", lost["name"])
    assert (made["status"], made["id"] != lost["id"]) == ("ACTIVE", True)
    assert double.named("volumes", f"{lost['name']}-data")["attachments"][0]["server_id"] == made["id"]
    assert ports.keys() <= double.kept["ports"].keys() and volumes.keys() == double.kept["volumes"].keys()
    assert doubled(double) == {}
    assert deployment.changes() == {}


def test_a_cloud_that_fails_while_it_is_asked_changes_nothing_and_loses_nothing(
    double: OpenstackDouble, openstack_terraform: Terraform
) -> None:
    """A port that can't be read is no port that is gone."""
    deployment = Deployment.of(small(), double, openstack_terraform)
    deployment.apply()
    there = counted(double)
    double.faults.append(Fault("GET", PORTS + "/.*", crash()))
    asked = len(double.asked)

    stopped = deployment.try_to_apply()

    assert stopped.returncode == 1
    assert "internal server error" in said(stopped)
    assert {each for each in double.asked[asked:] if "auth" not in each} == set()
    assert counted(double) == there
    assert deployment.changes() == {}


def sized(**sizes: Mapping[str, object]) -> SitePlan:
    """Every other machine has the smallest flavor that is enough for its role."""
    given = settings("small")
    given["sites"]["dc1"] |= {
        "masters": {"count": 1, **sizes.get("masters", {"flavor": "SCS-2V-8"})},
        "consul": {"count": 1, **sizes.get("consul", {"flavor": "SCS-2V-4"})},
        "gateway": sizes.get("gateway", {"flavor": "SCS-1V-2"}),
        "agents": {"general": {"count": 1, "flavor": "SCS-1V-2"}},
    }
    return planned(given)


def test_flavors_that_do_not_fit_stop_the_plan_each_by_name_and_the_smallest_that_do_pass_it(
    double: OpenstackDouble, openstack_terraform: Terraform
) -> None:
    deployment = Deployment.of(sized(), double, openstack_terraform)
    fits = deployment.changes()
    too_small, unknown, of_no_flavor = {"flavor": "SCS-2V-4"}, {"flavor": "SCS-64V-8"}, {"cpus": 3}
    wrong = sized(masters=too_small, consul=unknown, gateway=of_no_flavor)
    deployment.write(cluster_stack(wrong))

    stopped = deployment.try_to_apply()

    assert 'openstack_compute_instance_v2.small_masters["master-1"]' in fits
    assert stopped.returncode == 1
    needed = "sites.dc1.masters.flavor: SCS-2V-4 has 2 vCPUs and 4096 MiB, expected at least 2 and 8192"
    assert needed in said(stopped)
    assert said(stopped).count("Error: Your query returned no results") == 2
    assert said(stopped).count("Error: ") == 3, "the agent's fits"
    assert counted(double) == {"networks": 1}
