"""A site's platform: its own settings are there, and no other platform's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, TypeAlias

from constructs_lib.spec.findings import Check, Finding, Path, Settings
from constructs_lib.spec.platforms import PLATFORMS
from constructs_lib.spec.wording import show

if TYPE_CHECKING:
    from constructs_lib.spec.model import (
        ConsulSpec,
        EdgeSpec,
        GatewaySpec,
        MastersSpec,
        PoolSpec,
        SiteSpec,
    )

    Sized: TypeAlias = MastersSpec | ConsulSpec | GatewaySpec | EdgeSpec | PoolSpec


def _sites(settings: Settings) -> Iterator[tuple[str, SiteSpec]]:
    """Those whose platform is known."""
    for name, site in settings.cluster.sites.items():
        if settings.intact("sites", name, "platform"):
            yield name, site


def _own_settings(settings: Settings) -> Iterator[Finding]:
    for name, site in _sites(settings):
        for platform, facts in PLATFORMS.items():
            path: Path = ("sites", name, platform)
            given = getattr(site, platform) is not None
            if platform == site.platform and not given and settings.intact(*path):
                yield Finding(path, f"missing, expected {facts.example}")
            elif platform != site.platform and given:
                yield Finding(
                    path,
                    f"got settings of {facts.title}, but the site's platform is {site.platform}: "
                    "expected one platform to a site",
                )


def _sized(site: SiteSpec) -> Iterator[tuple[Path, Sized]]:
    yield ("masters",), site.masters
    yield ("consul",), site.consul
    yield ("gateway",), site.gateway
    if site.edge:
        yield ("edge",), site.edge
    for name, pool in site.agents.items():
        yield ("agents", name), pool


def _foreign(settings: Settings) -> Iterator[Finding]:
    for name, site in _sites(settings):
        for below, sized in _sized(site):
            for setting, expected in site.facts.not_here.items():
                value = getattr(sized, setting, None)
                if value not in (None, False):
                    yield Finding(("sites", name, *below, setting), f"got {show(value)}, expected {expected}")


def _sizes(settings: Settings) -> Iterator[Finding]:
    for name, site in _sites(settings):
        for below, sized in _sized(site):
            path: Path = ("sites", name, *below)
            if site.facts.size is None or not getattr(sized, site.facts.size):
                continue
            for other in ("cpus", "memory_gib"):
                if other in sized.model_fields_set:
                    yield Finding(
                        (*path, other),
                        f"got {getattr(sized, other)} beside {site.facts.size}, expected one or the other",
                    )


def _aws_sizes(settings: Settings) -> Iterator[Finding]:
    for name, site in _sites(settings):
        if site.aws is None or site.aws.image or not settings.intact("sites", name, "aws"):
            continue
        for below, sized in _sized(site):
            if sized.instance_type and _is_arm(sized.instance_type):
                yield Finding(
                    ("sites", name, *below, "instance_type"),
                    f"got {show(sized.instance_type)}, expected an x86 type: this one is ARM and the default "
                    "image is x86; an ARM image goes under aws.image",
                )


def _is_arm(instance_type: str) -> bool:
    """AWS marks its ARM families by a g after the generation: m7g, c6gn, t4g; and a1."""
    return re.fullmatch(r"(a1|[a-z]+\d+g[a-z-]*)\..+", instance_type) is not None


CHECKS: tuple[Check, ...] = (_own_settings, _foreign, _sizes, _aws_sizes)
