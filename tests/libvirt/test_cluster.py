"""A cluster in a stack of one's own: on a bridge that is there, and two of them side by side."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from constructs_lib.errors import ResourceError, SpecError
from constructs_lib.libvirt import MesosCluster, Network, site_provider
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import TerraformStack
from tests.libvirt.clusters import (
    Json,
    of_kind,
    plan_of,
    resources,
    settings,
    site_plan,
    synthesize,
    with_site,
)

KVM = [f"qemu+ssh://root@kvm{number}.example.org/system" for number in (1, 2, 3)]


def other_plan(*hosts: str) -> SitePlan:
    """A cluster beside the private one, on the same bridge."""
    given = with_site(settings("private"), libvirt={"hosts": list(hosts)}, network="10.40.0.0/16")
    return plan_of(given | {"name": "other"})


def two(second: SitePlan) -> Json:
    first = site_plan("private")

    def build(stack: TerraformStack) -> None:
        for plan in (first, second):
            site_provider(stack, plan)
        MesosCluster(stack, "demo", plan=first)
        values = {secret.name: f"${{var.other_{secret.name}}}" for secret in second.secrets}
        MesosCluster(stack, "other", plan=second, output="other_cluster", secret_values=values)

    return synthesize(build)


def test_two_clusters_fit_into_one_foreign_stack() -> None:
    stack = two(other_plan(*KVM))

    assert sorted(stack["output"]) == ["cluster", "other_cluster"]
    names = [name for named in stack["resource"].values() for name in named]
    assert {name.split("_")[0] for name in names} == {"demo", "other"}
    assert [provider["uri"] for provider in stack["provider"]["libvirt"]] == KVM


def test_two_clusters_whose_zones_are_other_hosts_stand_on_their_own_hosts() -> None:
    stack = two(other_plan(KVM[2], "qemu+ssh://root@kvm4.example.org/system", KVM[0]))

    providers = {
        f"libvirt.{provider['alias']}" if "alias" in provider else None: provider["uri"]
        for provider in stack["provider"]["libvirt"]
    }
    domains = of_kind(stack, "libvirt_domain.")
    hosts = [providers[domains[f"other_masters_domain-{zone}"].get("provider")] for zone in "abc"]
    assert hosts == [KVM[2], "qemu+ssh://root@kvm4.example.org/system", KVM[0]]
    assert providers["libvirt.other-dc1-b"] == hosts[1]


def test_a_second_cluster_without_its_providers_is_refused_and_lands_on_no_other_host() -> None:
    def build(stack: TerraformStack) -> None:
        site_provider(stack, site_plan("small"))
        MesosCluster(stack, "other", plan=other_plan(*KVM))

    with pytest.raises(SpecError, match=r"site_provider\(stack, plan\) with the plan of other-dc1"):
        synthesize(build)


def test_two_clusters_fetch_images_one_after_the_other() -> None:
    """They may be one file beside the stack."""
    found = resources(two(other_plan(*KVM)))

    fetches = [name for name in found if name.startswith("terraform_data.") and "_image-" in name]
    assert len(fetches) == 6
    waits = [found[name]["depends_on"] for name in fetches if "depends_on" in found[name]]
    assert sorted(name for (name,) in waits) == sorted(
        set(fetches) - {"terraform_data.other_storage_image-c"}
    )


def test_two_clusters_that_share_a_variable_are_refused() -> None:
    site = site_plan("small")

    def build(stack: TerraformStack) -> None:
        MesosCluster(stack, "one", plan=site)
        MesosCluster(stack, "two", plan=site, output="second")

    with pytest.raises(ResourceError, match=r"var\.\w+.* already"):
        synthesize(build)


def test_a_cluster_moves_onto_an_existing_bridge() -> None:
    site = site_plan("small")

    def build(stack: TerraformStack) -> None:
        network = Network.existing(
            stack,
            "net",
            plan=site,
            bridge="br-lab",
            range=IPv4Network("10.0.0.0/8"),
            gateway=IPv4Address("10.0.0.9"),
            dns=(IPv4Address("10.0.0.53"),),
        )
        MesosCluster(stack, "small", plan=site, network=network)

    stack = synthesize(build)

    assert "libvirt_network" not in stack["resource"]
    master = of_kind(stack, "libvirt_domain.")["small_masters_domain-a"]
    assert master["devices"]["interfaces"][0]["source"] == {"bridge": {"bridge": "br-lab"}}
    told = of_kind(stack, "libvirt_cloudinit_disk.")["small_masters_drive"]["network_config"]
    assert "        gateway: 10.0.0.9\n" in told
    assert "        dns_nameservers: [10.0.0.53]\n" in told
    assert "/8\n" in told


def test_an_existing_bridge_has_to_hold_the_sites_network() -> None:
    site = site_plan("small")

    def build(stack: TerraformStack) -> None:
        Network.existing(stack, "net", plan=site, bridge="br-lab", range=IPv4Network("10.99.0.0/16"))

    with pytest.raises(SpecError, match=r"br-lab with 10\.99\.0\.0/16', expected a bridge that holds"):
        synthesize(build)
