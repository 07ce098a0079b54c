"""Where disks lie: on each host a pool, and in it the images that root disks are copied on write from.

A root disk stands on its image for as long as it lives, and libvirt would delete an image under a running
machine. So an image is named by its checksum and never renamed, and one stays as long as the lock lists it;
a lock that lists too few is refused.

The machine that deploys fetches an image first (`constructs_lib.sites.image_file`); then it is uploaded, to
each host in turn.
"""

from __future__ import annotations

from weakref import WeakKeyDictionary

from constructs import Construct as Scope

from constructs_lib.libvirt.provider import provider_of
from constructs_lib.libvirt.settings import libvirt_of
from constructs_lib.plan.model import SitePlan, ZonePlan
from constructs_lib.sites.image_file import fetched_images, image_path
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import Construct, Expr, Resource, to_hcl
from constructs_lib.terraform.naming import StackRecord, place_of

FOLDER = "/var/lib/libvirt/images"
_SHARED: WeakKeyDictionary[StackRecord, dict[str, Storage]] = WeakKeyDictionary()
"""Stack → what names start with → its storage."""
_FETCHED: WeakKeyDictionary[StackRecord, Resource] = WeakKeyDictionary()
"""Stack → its last fetch of images: a second cluster's may be of the same file."""


class Storage(Construct):
    """Pool and images on every host of the site."""

    def __init__(self, scope: Scope, id: str, *, plan: SitePlan) -> None:
        super().__init__(scope, id)
        self._plan = plan
        self._pools: dict[str, str] = {}
        self._bases: dict[str, Resource] = {}
        stack = place_of(self).stack
        for zone in plan.zones:
            self._pools[zone.name] = self._pool(zone)
            before = [_FETCHED[stack]] if stack in _FETCHED else []
            _FETCHED[stack] = fetched_images(
                self, f"image-{zone.name}", plan, setting="libvirt.image", after=before
            )
            self._bases[zone.name] = self._images(zone, _FETCHED[stack])

    @staticmethod
    def of(scope: Scope, plan: SitePlan) -> Storage:
        """The storage that constructs without a cluster around them share, made below the first that asks."""
        shared = _SHARED.setdefault(place_of(scope).stack, {})
        if prefix(plan) not in shared:
            shared[prefix(plan)] = Storage(scope, "storage", plan=plan)
        return shared[prefix(plan)]

    def pool(self, zone: ZonePlan) -> str:
        """The name of the pool on a zone's host, as an expression."""
        return self._pools[zone.name]

    def base(self, zone: ZonePlan) -> str:
        """The path, on a zone's host, of the image that new machines start from, as an expression."""
        return self._bases[zone.name].each(libvirt_of(self._plan).image.sha256, "path")

    def still_there(self, machine: Resource) -> dict[str, str]:
        """The precondition that the image below the disk of `machine[each.key]` is one that stays.

        An older lock lists fewer images, and Terraform would delete the others under machines that run. Its
        state remembers from which one each was made.
        """
        made_from = f"{machine.address}[each.key].input"
        return {
            "condition": f"${{contains({to_hcl(list(self._plan.images))}, {made_from}.image)}}",
            "error_message": f"${{{made_from}.name}} stands on the image ${{{made_from}.image}}, which "
            f"cluster.lock.json does not list: put its line back there, at sites.{self._plan.name}.images, "
            "from version control. It may go once no machine stands on it.",
        }

    def _pool(self, zone: ZonePlan) -> str:
        libvirt = libvirt_of(self._plan)
        if libvirt.pool:
            return libvirt.pool
        made = Resource(
            self,
            f"pool-{zone.name}",
            "libvirt_pool",
            name=prefix(self._plan),
            type="dir",
            target={"path": libvirt.pool_path or f"{FOLDER}/{prefix(self._plan)}"},
            # A folder that was named may have been there before, with files of others, or be a mount's.
            destroy={"delete": False} if libvirt.pool_path else None,
            lifecycle={"ignore_changes": "all"},
            provider=provider_of(self, self._plan, zone),
        )
        return made.ref("name")

    def _images(self, zone: ZonePlan, fetched: Resource) -> Resource:
        return Resource(
            self,
            f"base-{zone.name}",
            "libvirt_volume",
            for_each=dict(self._plan.images),
            name=f"{prefix(self._plan)}-${{each.key}}.qcow2",
            pool=self._pools[zone.name],
            target={"format": {"type": "qcow2"}},
            create={"content": {"url": Expr(image_path(fetched))}},
            # No volume can be changed; another image is another key.
            lifecycle={"ignore_changes": "all"},
            provider=provider_of(self, self._plan, zone),
        )
