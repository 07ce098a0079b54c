"""The machine image, by id or as the newest of its name."""

from __future__ import annotations

from constructs import Construct as Scope

from constructs_lib.openstack.settings import is_id, openstack_of
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import DataSource


def machine_image(scope: Scope, plan: SitePlan, given: str | None = None) -> str:
    """The image's id: `given`, else `openstack.image` where that is one, else a data source below `scope`.

    By name it is the newest: a second image of the same name is then no error, and machines that run keep
    theirs.
    """
    image = given or openstack_of(plan).image
    if given or is_id(image):
        return image
    found = DataSource(scope, "image", "openstack_images_image_v2", name=image, most_recent=True)
    return found.ref("id")
