"""The hybrid cloud of cluster.yaml, written by hand: a stack for each site, joined by their gateways.

    python -m stacks.hybrid    # reads cluster.yaml in the current folder; writes cdktf.out and nothing else

Secrets are variables of the stacks, named as the plan names them: TF_VAR_zookeeper_super_password and so on.
"""

from __future__ import annotations

from constructs_lib.plan.lock import read_lock
from constructs_lib.plan.model import LateValue
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from constructs_lib.terraform import App, Offered, offer
from stacks.private import PrivateCloud
from stacks.private_libvirt import LibvirtCloud
from stacks.public import PublicCloud

CLOUDS: dict[str, type[PublicCloud | PrivateCloud | LibvirtCloud]] = {
    "aws": PublicCloud,
    "openstack": PrivateCloud,
    "libvirt": LibvirtCloud,
}


def main() -> None:
    """Synthesize every site of cluster.yaml."""
    workspace = Workspace.find()
    planned = plan(load(workspace.cluster_file), read_lock(workspace.lock_file))
    app = App()
    public: dict[str, Offered] = {}
    # A gateway calls those of sites before it, so that their addresses are known by then.
    for name in planned.order:
        site = planned.site(name)
        called = [peer.address for peer in site.link.peers] if site.link else []
        wanted = {late.name: public[late.name] for late in called if isinstance(late, LateValue)}
        cloud = CLOUDS[site.platform](app, f"{planned.name}-{name}", site, wanted)
        for value, expression in cloud.gateway.late_values.items():
            public[value] = offer(cloud, value, expression)
    app.synth()


if __name__ == "__main__":
    main()
