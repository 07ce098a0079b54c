"""`software:`: what each component can really run from."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pydantic_core import PydanticCustomError

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import Component, ContainerImage
from constructs_lib.spec.field_rules import Url
from constructs_lib.spec.fields import own_registry
from constructs_lib.spec.findings import Check, Finding, Path, Settings
from constructs_lib.spec.wording import one_of, show

if TYPE_CHECKING:
    from constructs_lib.spec.model import ComponentSoftware


def default_source(component: Component) -> str:
    """image or apt: what the component runs from when nothing is said."""
    return "image" if isinstance(component.software, ContainerImage) else "apt"


_PLACEHOLDERS = ("{distribution}", "{codename}")


def _address(mirror: str) -> bool:
    """Whether a node can take it for a repository's: it fills the placeholders in."""
    for placeholder in _PLACEHOLDERS:
        mirror = mirror.replace(placeholder, "")
    try:
        Url().check(mirror)
    except PydanticCustomError:
        return False
    return True


def _preinstalled(path: Path, override: ComponentSoftware) -> Iterator[Finding]:
    for key in ("version", "mirror", "fingerprint", "sha256"):
        if getattr(override, key) is not None:
            yield Finding((*path, key), "expected none: preinstalled software is taken as the machine has it")


def _software(settings: Settings) -> Iterator[Finding]:
    by_name = {component.name: component for component in COMPONENTS}
    for name, override in settings.cluster.software.components.items():
        path: Path = ("software", "components", name)
        component = by_name.get(name)
        if component is None or not settings.intact(*path):
            continue
        if not override.enabled and not component.optional:
            optional = [each.name for each in COMPONENTS if each.optional]
            yield Finding(
                (*path, "enabled"),
                f"got false, expected true: {name} is needed; optional: {', '.join(optional)}",
            )
            continue
        possible = (default_source(component), *component.also_runs_from)
        if override.source is not None and override.source not in possible:
            yield Finding(
                (*path, "source"), f"got {show(override.source)}, expected {one_of(possible)} for {name}"
            )
            continue
        source = override.source or possible[0]
        if source == "preinstalled":
            yield from _preinstalled(path, override)
            continue
        yield from (_from_image if source == "image" else _from_apt)(path, component, override)


def _from_image(path: Path, component: Component, override: ComponentSoftware) -> Iterator[Finding]:
    if override.version and not re.fullmatch(r"\w[\w.-]{0,127}", override.version):
        yield Finding(
            (*path, "version"),
            f"got {show(override.version)}, expected an image's tag: letters, digits, . _ -",
        )
    if override.mirror and "://" in override.mirror:
        yield Finding(
            (*path, "mirror"),
            f"got {show(override.mirror)}, expected a registry such as registry.example.org/mirror, "
            f"without https://: {component.name} runs from an image",
        )
    elif override.mirror and (problem := own_registry(override.mirror)):
        yield Finding((*path, "mirror"), f"got {show(override.mirror)}, expected {problem}")
    if override.fingerprint:
        yield Finding(
            (*path, "fingerprint"),
            f"is of a repository's key, expected none: {component.name} runs from an image",
        )
    if override.sha256 and not override.version:
        yield Finding(
            (*path, "sha256"), "got a digest without version, expected both: a digest is of one version"
        )


def _from_apt(path: Path, component: Component, override: ComponentSoftware) -> Iterator[Finding]:
    name, packages = component.name, component.apt_packages(asked=override.source == "apt")
    if override.mirror and packages.repository is None:
        yield Finding(
            (*path, "mirror"),
            f"expected none: {name} comes from the distribution, whose mirror is software.apt_mirror",
        )
    elif override.mirror and not _address(override.mirror):
        yield Finding(
            (*path, "mirror"),
            f"got {show(override.mirror)}, expected an address such as https://mirror.example.org/{name}, "
            f"with no placeholder but {one_of(_PLACEHOLDERS)}: {name} runs from packages",
        )
    if override.fingerprint and packages.repository is None:
        yield Finding(
            (*path, "fingerprint"),
            f"expected none: {name} comes from the distribution, whose keys the image has",
        )
    if override.sha256:
        yield Finding((*path, "sha256"), "is for images, expected none: apt checks its packages' signatures")


def _archives(settings: Settings) -> Iterator[Finding]:
    """What cloud-init makes of the mirrors, since nobody knows here which distribution a node's image has."""
    software = settings.cluster.software
    mirror, security = software.apt_mirror, software.apt_security_mirror
    if not settings.intact("software", "apt_mirror") or not settings.intact(
        "software", "apt_security_mirror"
    ):
        return
    if mirror and not security and mirror.rstrip("/").endswith("/debian"):
        yield Finding(
            ("software", "apt_mirror"),
            f"got {show(mirror)} alone, expected apt_security_mirror too: Debian's security updates are in "
            f"an archive of their own, such as {mirror.rstrip('/')}-security",
        )
    if security and not mirror:
        yield Finding(
            ("software", "apt_security_mirror"),
            f"got {show(security)} alone, expected apt_mirror too: cloud-init passes over it otherwise",
        )


CHECKS: tuple[Check, ...] = (_software, _archives)
