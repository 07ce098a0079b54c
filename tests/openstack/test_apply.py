"""The life of a site with the real terraform and the real plugin, against the double of the APIs."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from constructs_lib.errors import RollError
from constructs_lib.openstack.rolling import KINDS
from constructs_lib.openstack.secrets import CARRIED_PATHS, SECRETS_PATH
from constructs_lib.plan.plan import plan
from constructs_lib.roll.reading import ReadPlan, half_done, judge
from constructs_lib.secrets.ensure import ensure
from constructs_lib.spec.load import from_dict
from tests.another_version import of_another_version
from tests.openstack.clusters import Json, cluster_stack, plan_of, settings
from tests.openstack.conftest import Terraform
from tests.openstack.deployed import AllHealthy, roll_of
from tests.openstack.double import OpenstackDouble
from tests.openstack.double_catalog import IMAGE
from tests.openstack.double_server import running

pytestmark = pytest.mark.terraform
OWN_KEY, ANOTHER_KEY = (
    f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{body} ops@example.org"
    for body in (
        "HUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX",
        "AtWHj8rtM8QGUNPFcZG/fTVYiYrfsKyKF6Ya+W74bef",
    )
)
KEY_PAIR = "openstack_compute_keypair_v2.demo_key-pair"
MASTER = 'openstack_compute_instance_v2.demo_masters["{}"]'


def given(**agents: int) -> Json:
    """The private cluster with few agents, on the cloud that the environment names."""
    changed = settings("private")
    site = changed["sites"]["dc1"]
    del site["openstack"]["cloud"]
    site["openstack"]["public_key"] = OWN_KEY
    for pool, count in {"general": 3, "batch": 1, **agents}.items():
        site["agents"][pool]["count"] = count
    site["edge"] = {"count": 1, "public": True, "allow": ["198.51.100.0/24"]}
    return changed


@dataclasses.dataclass(frozen=True)
class Site:
    """A site that was deployed once."""

    terraform: Terraform
    double: OpenstackDouble
    secrets: dict[str, str]

    def planned(self, changed: Json, *arguments: str) -> ReadPlan:
        """What a deploy of other settings would do; it is not done."""
        return self.of_stack(cluster_stack(plan_of(changed)), *arguments)

    def of_stack(self, stack: Json, *arguments: str) -> ReadPlan:
        """The same of any stack."""
        self.terraform.write(stack)
        self.terraform("plan", "-input=false", "-out=plan", *arguments)
        return ReadPlan.of(json.loads(self.terraform("show", "-json", "plan")))

    def changes(self, changed: Json, *arguments: str) -> dict[str, str]:
        """Address → what happens to it."""
        return {change.address: change.verb for change in self.planned(changed, *arguments).loud()}


@pytest.fixture(scope="module")
def site(openstack_terraform: Terraform) -> Iterator[Site]:
    planned = plan(from_dict(given()))
    folder = openstack_terraform.folder
    with running() as double:
        terraform = dataclasses.replace(
            openstack_terraform, environ=openstack_terraform.environ | double.environment
        )
        stack = cluster_stack(planned.site("dc1"))
        made = ensure(planned.secrets, (), folder / "secrets.json", {})
        secrets = {name: made[name] for name in stack["variable"]}
        (folder / "secrets.auto.tfvars.json").write_text(json.dumps(secrets))
        terraform.write(stack)
        terraform("init", "-input=false")
        terraform("apply", "-auto-approve", "-input=false")
        yield Site(terraform, double, secrets)


def test_a_second_plan_is_empty(site: Site) -> None:
    assert site.changes(given()) == {}


def test_every_machine_is_there_with_its_address_and_its_volume(site: Site) -> None:
    planned = plan_of(given())

    for node in planned.nodes:
        server = site.double.named("servers", f"demo-dc1-{node.name}")
        ((address,),) = server["addresses"].values()
        assert address["addr"] == str(node.address)
        if node.data_volume:
            volume = site.double.named("volumes", f"demo-dc1-{node.name}-data")
            assert volume["attachments"][0]["server_id"] == server["id"]


def test_a_node_gets_its_text_its_secrets_the_id_of_its_volume_and_the_networks_mtu(site: Site) -> None:
    text = gzip.decompress(base64.b64decode(site.double.nova.user_data["demo-dc1-master-2"])).decode()
    files = {
        file["path"]: base64.b64decode(file["contents"])
        for file in site.double.nova.files["demo-dc1-master-2"]
    }
    told = json.loads(files[SECRETS_PATH])

    assert text.startswith("#cloud-config\n# master master-2")
    assert site.double.named("volumes", "demo-dc1-master-2-data")["id"] in text
    assert '"mtu": 1450,' in text
    assert files.keys() == {SECRETS_PATH, *CARRIED_PATHS}
    packed = b"".join(files[path] for path in CARRIED_PATHS)
    assert gzip.decompress(base64.b64decode(packed)).startswith(b"#:/usr/local/sbin/clustermesos-apply\n#!")
    assert told == {name: site.secrets[name] for name in told}
    assert {"mesos_operator_password", "zookeeper_super_password"} <= told.keys()
    assert not [name for name, value in site.secrets.items() if value in text]


def test_a_key_pair_of_the_public_key_is_made_for_all_machines_and_no_private_one(site: Site) -> None:
    ((name, pair),) = site.double.kept["os-keypairs"].items()

    assert re.fullmatch("demo-dc1-[0-9a-f]{8}", name)
    assert pair["public_key"] == OWN_KEY
    assert {server["key_name"] for server in site.double.kept["servers"].values()} == {name}
    state = json.loads((site.terraform.folder / "terraform.tfstate").read_text())
    (kept,) = (each for each in state["resources"] if each["type"] == "openstack_compute_keypair_v2")
    assert not kept["instances"][0]["attributes"]["private_key"]


def test_another_operator_gets_a_key_pair_of_the_same_name_and_nothing_else(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nova shows none of the first one's."""
    (name,) = site.double.kept["os-keypairs"]
    monkeypatch.setitem(site.double.kept, "os-keypairs", {})

    found = site.planned(given()).loud()

    assert [(change.address, change.verb) for change in found] == [(KEY_PAIR, "created")]
    assert found[0].after["name"] == name


def test_no_plan_shows_a_secret(site: Site) -> None:
    shown = site.terraform("plan", "-input=false", "-no-color", f"-replace={MASTER.format('master-1')}")

    assert not [name for name, value in site.secrets.items() if value.strip().splitlines()[-1] in shown]


def test_two_more_agents_are_two_ports_and_two_machines(site: Site) -> None:
    assert site.changes(given(general=5)) == {
        f'openstack_{kind}["general-{number}"]': "created"
        for kind in (
            "networking_port_v2.demo_agents-general_port",
            "compute_instance_v2.demo_agents-general",
        )
        for number in (4, 5)
    }


def test_two_agents_less_are_their_ports_and_machines_and_no_volume(site: Site) -> None:
    assert site.changes(given(general=1)) == {
        f'openstack_{kind}["general-{number}"]': "destroyed"
        for kind in (
            "networking_port_v2.demo_agents-general_port",
            "compute_instance_v2.demo_agents-general",
        )
        for number in (2, 3)
    }


def test_a_pool_less_takes_nothing_but_its_own(site: Site) -> None:
    less = given()
    del less["sites"]["dc1"]["agents"]["general"]
    # As the lock would have it: batch keeps its place.
    whole = plan(from_dict(given()))
    site.terraform.write(cluster_stack(plan(from_dict(less), whole.lock).site("dc1")))
    site.terraform("plan", "-input=false", "-out=plan")
    found = ReadPlan.of(json.loads(site.terraform("show", "-json", "plan"))).loud()

    assert {change.verb for change in found} == {"destroyed"}
    assert all("agents-general" in change.address for change in found)


@pytest.mark.parametrize(
    "other",
    [
        {"masters": {"count": 3, "cpus": 4, "memory_gib": 16}},
        {"openstack": {"image": "11111111-2222-3333-4444-555555555555"}},
        {"openstack": {"availability_zones": ["other1", "other2", "other3"]}},
        {"openstack": {"anti_affinity": "soft", "public_key": ANOTHER_KEY, "volume_type": "ssd"}},
        {"registry": {"cache": True}},
    ],
    ids=["size", "image", "zone-names", "hints", "texts"],
)
def test_a_plain_deploy_leaves_what_runs_alone(site: Site, other: dict[str, Any]) -> None:
    changed = given()
    target = changed["sites"]["dc1"]
    for key, value in other.items():
        target[key] = {**target.get(key, {}), **value}

    found = site.planned(changed).loud()

    kinds = ("openstack_compute_instance_v2", "openstack_blockstorage_volume_v3")
    assert [change.address for change in found if change.type in kinds] == []


def test_another_version_of_the_library_changes_no_machine_until_it_is_rolled(site: Site) -> None:
    stack = of_another_version(cluster_stack(plan_of(given())))

    plain = site.of_stack(stack)
    rolled = site.of_stack(stack, f"-replace={MASTER.format('master-3')}")
    found = judge(rolled, "master-3", "10.20.144.13", KINDS)

    assert plain.loud() == ()
    assert [change.address for change in rolled.loud()] == [MASTER.format("master-3")]
    assert {line.split()[0].rstrip(":") for line in found.differences} == {"user_data", "personality"}


def test_a_network_with_another_mtu_changes_no_machine_until_it_is_rolled_and_the_output_tells_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(site.double.named("networks", "demo-dc1"), "mtu", 9000)

    plain = site.planned(given())
    told = json.loads(site.terraform("show", "-json", "plan"))["output_changes"]["cluster"]["after"]
    rolled = site.planned(given(), f"-replace={MASTER.format('master-3')}")

    assert plain.loud() == ()
    assert told["late_values"]["network_mtu:dc1"] == "9000"
    differences = judge(rolled, "master-3", "10.20.144.13", KINDS).differences
    assert {line.split()[0].rstrip(":") for line in differences} == {"user_data"}


def test_another_value_of_a_secret_leaves_what_runs_alone(site: Site) -> None:
    site.terraform.write(cluster_stack(plan_of(given())))

    shown = site.terraform("plan", "-input=false", "-no-color", "-var=registry_password=another")

    assert "No changes." in shown


def test_another_value_of_a_secret_is_what_a_roll_sees(site: Site) -> None:
    replaced = f"-replace={MASTER.format('master-3')}"

    found = site.planned(given(), replaced, "-var=registry_password=another")

    differences = judge(found, "master-3", "10.20.144.13", KINDS).differences
    assert {line.split()[0].rstrip(":") for line in differences} == {"personality"}


def test_a_roll_replaces_one_master_on_its_port_with_its_volume_and_nothing_else(site: Site) -> None:
    changed = given()
    changed["sites"]["dc1"]["masters"] = {"count": 3, "cpus": 4, "memory_gib": 16}

    found = judge(
        site.planned(changed, f"-replace={MASTER.format('master-2')}"), "master-2", "10.20.80.12", KINDS
    )

    assert (found.machine.address, found.parts) == (MASTER.format("master-2"), ())
    assert "flavor_id: f-2-8 → f-4-16" in found.differences


def test_a_roll_of_a_master_that_is_up_to_date_finds_no_difference(site: Site) -> None:
    found = judge(
        site.planned(given(), f"-replace={MASTER.format('master-1')}"), "master-1", "10.20.16.11", KINDS
    )

    assert found.differences == ()


def test_a_roll_is_refused_while_anything_else_waits_for_a_deploy(site: Site) -> None:
    found = site.planned(given(general=4), f"-replace={MASTER.format('master-2')}")

    with pytest.raises(RollError, match=r"more than the replacement of one node:\n.*general-4"):
        judge(found, "master-2", "10.20.80.12", KINDS)


def test_a_whole_cluster_is_not_taken_for_a_half_replaced_one(site: Site) -> None:
    assert half_done(site.planned(given()), ["master-1", "master-2", "master-3"], KINDS) is None


@pytest.mark.parametrize(
    ("pool", "names"),
    [(None, ("master-2",)), ("general", ("general-1", "general-2", "general-3"))],
    ids=["master", "pool"],
)
def test_a_roll_gives_one_after_the_other_its_new_size_and_keeps_address_and_data(
    site: Site, pool: str | None, names: tuple[str, ...]
) -> None:
    changed = given()
    changed["sites"]["dc1"]["masters"] = {"count": 3, "cpus": 4, "memory_gib": 16}
    changed["sites"]["dc1"]["agents"]["general"] |= {"cpus": 8, "memory_gib": 32}
    planned = plan(from_dict(changed))
    site.terraform.write(cluster_stack(planned.site("dc1")))
    before = {name: dict(site.double.named("servers", f"demo-dc1-{name}")) for name in names}

    only = names[0] if pool is None else None
    done = roll_of(planned, site.terraform, AllHealthy(), pool=pool, only=only).run()

    assert done == names
    for name, was in before.items():
        now = site.double.named("servers", f"demo-dc1-{name}")
        assert now["id"] != was["id"]
        assert now["addresses"] == was["addresses"]
        assert now["flavor"]["id"] == ("f-8-32" if pool else "f-4-16")
    volume = site.double.named("volumes", "demo-dc1-master-2-data")
    assert volume["attachments"][0]["server_id"] == site.double.named("servers", "demo-dc1-master-2")["id"]
    assert site.changes(changed) == {}


def test_another_public_key_is_another_key_pair_which_a_roll_sees(site: Site) -> None:
    changed = given()
    changed["sites"]["dc1"]["openstack"]["public_key"] = ANOTHER_KEY
    machines, (former,) = dict(site.double.kept["servers"]), site.double.kept["os-keypairs"]

    found = site.changes(changed)
    site.terraform("apply", "-input=false", "plan")

    assert found == {KEY_PAIR: "replaced", f"terraform_data.{KEY_PAIR.split('.')[1]}-mark": "replaced"}
    assert site.double.kept["servers"] == machines
    (name,) = site.double.kept["os-keypairs"]
    rolled = site.planned(changed, f"-replace={MASTER.format('master-1')}")
    assert f"key_pair: {former} → {name}" in judge(rolled, "master-1", "10.20.16.11", KINDS).differences
    site.planned(given())
    site.terraform("apply", "-input=false", "plan")


def test_a_data_volume_grows_while_its_machine_runs(site: Site) -> None:
    changed = given()
    changed["sites"]["dc1"]["consul"]["disk_gib"] = 80
    machines = dict(site.double.kept["servers"])

    found = site.changes(changed)
    site.terraform("apply", "-input=false", "plan")

    assert found == {'openstack_blockstorage_volume_v3.demo_consul_data["consul-1"]': "changed in place"}
    volume = site.double.named("volumes", "demo-dc1-consul-1-data")
    assert (volume["size"], volume["status"]) == (80, "in-use")
    assert site.double.kept["servers"] == machines
    assert site.changes(changed) == {}


def test_at_last_the_image_is_found_by_name_and_a_destroy_leaves_nothing(site: Site) -> None:
    state = json.loads((site.terraform.folder / "terraform.tfstate").read_text())
    images = [each for each in state["resources"] if each["type"] == "openstack_images_image_v2"]
    assert images[0]["instances"][0]["attributes"]["id"] == IMAGE
    site.terraform.write(cluster_stack(plan_of(given())))

    site.terraform("destroy", "-auto-approve", "-input=false")

    left = {kind: len(kept) for kind, kept in site.double.kept.items() if kept}
    assert left == {"networks": 1}
