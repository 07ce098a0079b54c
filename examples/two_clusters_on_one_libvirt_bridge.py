"""A stack of your own with two clusters, side by side on the same KVM hosts and the same bridge.

    python examples/two_clusters_on_one_libvirt_bridge.py    # writes cdktf.out; then: cdktf deploy

`br-lab` is on both hosts, with 10.60.0.0/14 and its router at 10.60.0.1; each cluster has a part of it. What
stands in the stack's names is given to the second cluster: its output, and the expressions for its secrets.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

from constructs import Construct

from constructs_lib.libvirt import MesosCluster, Network, site_provider
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from constructs_lib.terraform import App, Resource, TerraformStack, Variable, local_backend

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUHzFSBTRwlqGfL5lsBd4UqvyCrj5AZCrfNWSQRnDXX ops@example.org"
LAB = IPv4Network("10.60.0.0/14")
HOSTS = ["qemu+ssh://root@kvm1.example.org/system", "qemu+ssh://root@kvm2.example.org/system"]


def cluster(name: str, network: str, agents: int) -> dict[str, Any]:
    """A small cluster with its own part of the lab's range."""
    return {
        "name": name,
        "sites": {
            "lab": {
                "platform": "libvirt",
                "libvirt": {
                    "hosts": HOSTS,
                    "image": {
                        "url": "https://images.example.org/noble.img",
                        "sha256": "9b2f1d6c0c3a4e5f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f",
                    },
                    "bridge": {"name": "br-lab"},
                },
                "zones": 2,
                "network": network,
                "masters": {"count": 1},
                "agents": {"general": {"count": agents, "cpus": 4, "memory_gib": 16}},
            }
        },
        "admin": {
            "networks": ["203.0.113.0/24"],
            "ssh_keys": [KEY],
        },
    }


class Lab(TerraformStack):
    """Your own stack: here a volume that has nothing to do with Mesos, and two clusters."""

    def __init__(self, scope: Construct, id: str, first: SitePlan, second: SitePlan) -> None:
        super().__init__(scope, id)
        local_backend(self, "lab.tfstate")
        for site in (first, second):
            site_provider(self, site)
        Resource(self, "scratch", "libvirt_volume", name="scratch.raw", pool="default", capacity=2**30)

        MesosCluster(self, first.cluster, plan=first, network=self._bridge(first))
        values = {
            secret.name: Variable(self, f"{second.cluster}_{secret.name}", sensitive=True).ref()
            for secret in second.secrets
        }
        MesosCluster(
            self,
            second.cluster,
            plan=second,
            network=self._bridge(second),
            output=f"{second.cluster}_cluster",
            secret_values=values,
        )

    def _bridge(self, site: SitePlan) -> Network:
        return Network.existing(self, f"bridge-{site.cluster}", plan=site, bridge="br-lab", range=LAB)


def main() -> None:
    app = App()
    stable, canary = (
        plan(from_dict(settings)).site("lab")
        for settings in (cluster("stable", "10.61.0.0/16", 4), cluster("canary", "10.62.0.0/16", 1))
    )
    Lab(app, "lab", stable, canary)
    app.synth()


if __name__ == "__main__":
    main()
