"""The machine image: by id, as the newest of its name, or uploaded from a file."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from constructs import Construct as Scope

from constructs_lib.openstack.settings import is_id, openstack_of
from constructs_lib.openstack.tags import neutron_tags
from constructs_lib.plan.model import SitePlan
from constructs_lib.sites.image_file import fetched_images, image_path
from constructs_lib.sites.names import prefix
from constructs_lib.terraform import DataSource, Expr, Resource
from constructs_lib.terraform.naming import StackRecord, place_of

_SHARED: WeakKeyDictionary[StackRecord, dict[str, Resource]] = WeakKeyDictionary()
"""Stack → what names start with → the images that are uploaded there."""


def machine_image(scope: Scope, plan: SitePlan, given: str | None = None) -> str:
    """The image's id: `given`, else what `openstack.image` or `openstack.upload` says, made below `scope`.

    By name it is the newest: a second image of the same name is then no error, and machines that run keep
    theirs. Constructs without a cluster around them share one that is uploaded.
    """
    openstack = openstack_of(plan)
    if given:
        return given
    if openstack.upload:
        shared = _SHARED.setdefault(place_of(scope).stack, {})
        if prefix(plan) not in shared:
            shared[prefix(plan)] = _uploaded(scope, plan)
        return shared[prefix(plan)].each(openstack.upload.sha256, "id")
    image = openstack.image or ""
    if is_id(image):
        return image
    found = DataSource(scope, "image", "openstack_images_image_v2", name=image, most_recent=True)
    return found.ref("id")


def _uploaded(scope: Scope, plan: SitePlan) -> Resource:
    """One image for each checksum that the lock lists, so that none goes while disks may stand on it.

    The plugin could fetch an URL itself, but compares no checksum, keeps what it fetched under the URL for
    ever, and writes the operator's home folder into the state, which the next operator's plan would change.
    """
    fetched = fetched_images(scope, "image-file", plan, setting="openstack.upload")
    return Resource(
        scope,
        "image",
        "openstack_images_image_v2",
        for_each=dict(plan.images),
        # Nobody else's image has this name, and it is found by its id alone.
        name=f"{prefix(plan)}-${{each.key}}",
        container_format="bare",
        disk_format="qcow2",
        local_file_path=Expr(image_path(fetched)),
        visibility="private",
        tags=neutron_tags(plan),
        lifecycle={"ignore_changes": "all"},
    )
