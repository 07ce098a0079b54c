"""A site's libvirt settings."""

from __future__ import annotations

from constructs_lib.errors import SpecError
from constructs_lib.plan.model import SitePlan
from constructs_lib.spec.model import LibvirtSpec

GIB = 2**30


def libvirt_of(plan: SitePlan) -> LibvirtSpec:
    """The site's `libvirt:` settings; SpecError when the site has none."""
    if plan.libvirt is None:
        raise SpecError(
            f"sites.{plan.name}.libvirt",
            None,
            "the settings of a libvirt site, at least {hosts: [qemu:///system], image: {path: …, sha256: …}}",
        )
    return plan.libvirt
