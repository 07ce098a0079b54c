"""Sizes of data volumes in the lock: a volume grows while it is in use, and never becomes smaller.

Clouds say so in the middle of a deploy, with other things done already; a platform that made a new volume
instead would give the node an empty one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from constructs_lib.spec.model import SiteSpec


def data_disks(site: SiteSpec, *, home: bool) -> dict[str, int]:
    """The setting in cluster.yaml → GiB of the data volumes that are made by it."""
    masters = {"masters": site.masters.disk_gib} if home and not site.masters.existing else {}
    consul = {} if site.consul.existing else {"consul": site.consul.disk_gib}
    return masters | consul


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
