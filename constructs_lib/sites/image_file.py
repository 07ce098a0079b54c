"""Images on the machine that deploys, for platforms that get them from there.

No plugin checks what it uploads. So an image is fetched into `images/` beside the stack first, under its
checksum, which is compared; only then it goes anywhere. One stays as long as the lock lists it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from constructs import Construct as Scope

from constructs_lib.terraform import Resource, TerraformElement

_FETCH = """set -eu
umask 077
mkdir -p images
file="images/$SHA256"
matches() { echo "$SHA256  $1" | sha256sum -c - >/dev/null 2>&1; }
failed() {
  echo "$SOURCE can't be fetched, see above; correct the image in cluster.yaml, or deploy again" >&2
  rm -f "$file.part"
  exit 1
}
matches "$file" && exit 0
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
mv "$file.part" "$file"
"""


def fetched_images(
    scope: Scope, id: str, images: Mapping[str, str], *, after: Sequence[TerraformElement] = ()
) -> Resource:
    """Fetches each of `images`, checksum → source, when it is new; its `output` is the checksum by key.

    Two that fetch the same are put one behind the other by `after`.
    """
    fetched = Resource(
        scope,
        id,
        "terraform_data",
        for_each=dict(images),
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
                    "environment": {"SOURCE": "${each.value}", "SHA256": "${each.key}"},
                }
            }
        ],
    )
    return fetched


def image_path(fetched: Resource) -> str:
    """HCL for the file of `each.key`, known only once it is there."""
    return f'"images/${{{fetched.address}[each.key].output}}"'
