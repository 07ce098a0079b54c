"""Images on the machine that deploys, for platforms that get them from there.

No plugin checks what it uploads, and a machine is told of a wrong image once its former one is gone. So an
image is fetched into `images/` beside the stack first, under its checksum, which is compared; it must be a
whole qcow2 image, whose disk fits onto every root disk of the site. Only then it goes anywhere. One stays as
long as the lock lists it.
"""

from __future__ import annotations

from collections.abc import Sequence

from constructs import Construct as Scope

from constructs_lib.plan.hosts import smallest_root_gib
from constructs_lib.plan.model import SitePlan
from constructs_lib.terraform import Resource, TerraformElement

_FETCH = r"""set -eu
umask 077
mkdir -p images
file="images/$SHA256"
matches() { echo "$SHA256  $1" | sha256sum -c - >/dev/null 2>&1; }
failed() {
  echo "$SOURCE can't be fetched, see above; correct the image in cluster.yaml, or deploy again" >&2
  rm -f "$file.part"
  exit 1
}
refused() {
  echo "$FIELD: $SOURCE $1" >&2
  rm -f "$file.part"
  exit 1
}
# By qcow2's header: magic, version 2 or 3, no file below it, and in bytes 24 to 31 the size of its disk.
fits() {
  header=$(od -An -v -tx1 -N 32 "$1" | tr -d ' \n')
  case "$header" in
    514649fb0000000[23]0000000000000000????????????????????????????????) ;;
    514649fb0000000[23]????????????????????????????????????????????????)
      refused "is a qcow2 image that lies on another one, expected a whole one: qemu-img convert -O qcow2" ;;
    *) refused "is no qcow2 image, expected one: qemu-img convert -O qcow2" ;;
  esac
  size=$(echo "$header" | cut -c 49-64)
  # What is beyond a shell's numbers is too large all the same.
  case "$size" in 0000*) ;; *) size=0000ffffffffffff ;; esac
  gib=$(((0x$size + 1073741823) / 1073741824))
  [ "$gib" -le "$GIB" ] ||
    refused "is of a disk of $gib GiB, expected at most $GIB, the smallest root disk of the site's machines"
}
matches "$file" && fits "$file" && exit 0
rm -f "$file"
case "$SOURCE" in
  http*) curl -fsSL --retry 3 -o "$file.part" "$SOURCE" || failed ;;
  *) cp "$SOURCE" "$file.part" || failed ;;
esac
if ! matches "$file.part"; then
  echo "$SOURCE has the sha256 $(sha256sum "$file.part" | cut -d ' ' -f 1), cluster.yaml says $SHA256" >&2
  rm -f "$file.part"
  exit 1
fi
fits "$file.part"
mv "$file.part" "$file"
"""


def fetched_images(
    scope: Scope, id: str, plan: SitePlan, *, setting: str, after: Sequence[TerraformElement] = ()
) -> Resource:
    """Fetches each of the site's images when it is new; its `output` is the checksum by key.

    `setting` is where the site's settings name the image. Two that fetch the same are put one behind the
    other by `after`.
    """
    fetched = Resource(
        scope,
        id,
        "terraform_data",
        for_each=dict(plan.images),
        input="${each.key}",
        # A mirror that moved is no other image.
        lifecycle={"ignore_changes": "all"},
        depends_on=after,
    )
    fetched.add_override(
        "provisioner",
        [
            {
                "local-exec": {
                    "command": _FETCH,
                    "environment": {
                        "SOURCE": "${each.value}",
                        "SHA256": "${each.key}",
                        "FIELD": f"sites.{plan.name}.{setting}",
                        "GIB": smallest_root_gib(plan),
                    },
                }
            }
        ],
    )
    return fetched


def image_path(fetched: Resource) -> str:
    """HCL for the file of `each.key`, known only once it is there."""
    return f'"images/${{{fetched.address}[each.key].output}}"'
