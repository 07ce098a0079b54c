"""What each component really installs, once cluster.yaml's overrides and mirrors are applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import Component, ContainerImage, ResolvedSoftware
from constructs_lib.errors import SpecError
from constructs_lib.spec.model import ComponentSoftware, SoftwareSpec


def resolve_software(spec: SoftwareSpec) -> Mapping[str, ResolvedSoftware]:
    """Component name → its software, for every component, overridden or not."""
    overrides = {
        component.name: spec.components.get(component.name, ComponentSoftware()) for component in COMPONENTS
    }
    return {
        component.name: replace(
            _resolve(component, spec, overrides[component.name]), enabled=overrides[component.name].enabled
        )
        for component in COMPONENTS
    }


def _resolve(component: Component, spec: SoftwareSpec, override: ComponentSoftware) -> ResolvedSoftware:
    default = component.software
    if default is None:
        return ResolvedSoftware(source="none", version=None)
    default_source = "image" if isinstance(default, ContainerImage) else "apt"
    source = override.source or default_source
    if source != default_source and source not in component.also_runs_from:
        allowed = (default_source, *component.also_runs_from)
        raise SpecError(f"software.{component.name}.source", source, " or ".join(allowed))
    if source == "preinstalled":
        return ResolvedSoftware(source="preinstalled", version=override.version)
    if source == "image" and isinstance(default, ContainerImage):
        version = override.version or default.version
        prefix = override.mirror if override.mirror is not None else spec.image_prefix
        return ResolvedSoftware(
            source="image",
            version=version,
            image=f"{_with_slash(prefix)}{default.name}:{version}" + _digest(override.sha256),
            mirror=override.mirror,
            sha256=override.sha256,
        )
    # A default version belongs to the default source.
    packages = component.apt_packages(asked=override.source == "apt")
    return ResolvedSoftware(
        source="apt",
        version=override.version or packages.version,
        packages=packages.names,
        mirror=override.mirror,
        fingerprint=override.fingerprint,
        sha256=override.sha256,
    )


def _with_slash(prefix: str) -> str:
    return f"{prefix.rstrip('/')}/" if prefix else ""


def _digest(sha256: str | None) -> str:
    return f"@sha256:{sha256}" if sha256 else ""
