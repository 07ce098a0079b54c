"""Sizes of data volumes in the lock: a volume grows while it is in use, and never becomes smaller.

Clouds say so in the middle of a deploy, with other things done already; a platform that made a new volume
instead would give the node an empty one. On libvirt no deploy can change a volume: one grows by hand first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from constructs_lib.spec.model import SiteSpec

DATA_NODES = {"masters": "master", "consul": "consul"}
"""The setting in cluster.yaml → how names of its nodes start."""


def data_disks(site: SiteSpec, *, home: bool) -> dict[str, int]:
    """The setting in cluster.yaml → GiB of the data volumes that are made by it."""
    masters = {"masters": site.masters.disk_gib} if home and not site.masters.existing else {}
    consul = {} if site.consul.existing else {"consul": site.consul.disk_gib}
    return masters | consul


def grown_disks(
    path: str, site: SiteSpec, wanted: Mapping[str, int], locked: Mapping[str, int]
) -> Iterator[str]:
    """A line for each that would have to become larger where no deploy can do that."""
    if site.libvirt is None:
        return
    for setting, gib in wanted.items():
        was = locked.get(setting, gib)
        if gib > was:
            node = DATA_NODES[setting]
            resize = f"virsh blockresize <cluster>-<site>-{node}-1 vdb {gib}GiB"
            yield (
                f"{path}.{setting}.disk_gib: locked {was}, cluster.yaml says {gib}; on libvirt no deploy "
                f"makes a volume larger. Grow each one on its host, `{resize}`, then write {gib} at "
                f"{path}.disks.{setting} here; or put {was} back"
            )


def shrunk_disks(path: str, wanted: Mapping[str, int], locked: Mapping[str, int]) -> Iterator[str]:
    """A line for each that would have to become smaller; `path` names the site."""
    for setting, gib in wanted.items():
        was = locked.get(setting, gib)
        if gib < was:
            yield (
                f"{path}.{setting}.disk_gib: locked {was}, cluster.yaml says {gib}; a volume can't become "
                f"smaller, and a new one would be empty: put {was} back. If no deploy ever made it so large, "
                f"change {path}.disks.{setting} here too"
            )
