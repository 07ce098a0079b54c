"""docs/cluster-yaml.md: every setting, made from the model and its docstrings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from constructs_lib.components import component_names
from constructs_lib.components.model import Role
from constructs_lib.spec import model
from constructs_lib.spec.check_cloud_config import APPENDED, OURS
from constructs_lib.spec.docstrings import descriptions
from constructs_lib.spec.rules import Rule
from constructs_lib.spec.wording import one_of, show

_HEAD = """# cluster.yaml

Every setting. This page is made from `constructs_lib/spec/model.py` by
`python -m constructs_lib.spec.reference > docs/cluster-yaml.md`; a test compares them.
`clustermesos check` reports every problem in a file at once; `clustermesos schema` prints the JSON Schema
that editors complete and check the file with.

The file is UTF-8, at most 1 MiB, read as YAML 1.2: `yes`, `no`, `on`, `off` are text, and versions such as
`"3.10"` belong in quotes. Aliases and `<<` merge keys work. Unknown keys, and keys set twice, are errors.
"""

SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("", model.ClusterSpec),
    ("sites.SITE", model.SiteSpec),
    ("sites.SITE.aws", model.AwsSpec),
    ("sites.SITE.openstack", model.OpenstackSpec),
    ("sites.SITE.openstack.upload", model.ImageSpec),
    ("sites.SITE.libvirt", model.LibvirtSpec),
    ("sites.SITE.libvirt.image", model.ImageSpec),
    ("sites.SITE.libvirt.nat", model.NatSpec),
    ("sites.SITE.libvirt.bridge", model.BridgeSpec),
    ("sites.SITE.libvirt.capacity", model.HostCapacitySpec),
    ("sites.SITE.masters", model.MastersSpec),
    ("sites.SITE.consul", model.ConsulSpec),
    ("sites.SITE.registry", model.RegistrySpec),
    ("sites.SITE.agents.POOL", model.PoolSpec),
    ("sites.SITE.agents.POOL.shared", model.SharedSpec),
    ("sites.SITE.gateway", model.GatewaySpec),
    ("sites.SITE.link", model.LinkSpec),
    ("sites.SITE.edge", model.EdgeSpec),
    ("sites.SITE.ranges.ZONE", model.ZoneRanges),
    ("admin", model.AdminSpec),
    ("state (kind: local)", model.LocalState),
    ("state (kind: s3)", model.S3State),
    ("state (kind: http)", model.HttpState),
    ("state (kind: gcs)", model.GcsState),
    ("state (kind: azurerm)", model.AzurermState),
    ("nodes", model.NodesSpec),
    ("policies.POLICY", model.PolicySpec),
    ("backups.TARGET", model.BackupTargetSpec),
    ("platform_backup", model.PlatformBackupSpec),
    ("app_secrets.REFERENCE", model.AppSecretSpec),
    ("software", model.SoftwareSpec),
    ("software.COMPONENT", model.ComponentSoftware),
)
"""Where each model stands in the file, in the page's order; words in capitals are names that you choose."""


def markdown() -> str:
    """The whole page."""
    described = descriptions()
    sections = (section(path, settings, described[settings.__name__]) for path, settings in SECTIONS)
    return "\n".join((_HEAD, *sections, _cloud_config()))


def section(path: str, settings: type[BaseModel], described: Mapping[str, str]) -> str:
    """A heading and the table of one group's settings."""
    title = f"## `{path}`" if path else "## The file"
    rows = "\n".join(_row(name, field, described[name]) for name, field in settings.model_fields.items())
    return f"{title}\n\n{described['']}\n\n| Setting | Value | Default | |\n|---|---|---|---|\n{rows}\n"


def _row(name: str, field: FieldInfo, description: str) -> str:
    shown = (
        one_of(f"`{component}`" for component in component_names()) if name == "components" else f"`{name}`"
    )
    value = "; ".join(dict.fromkeys(_values(field.annotation, field.metadata)))
    cells = (shown, value, _default(field), " ".join(description.split()))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _values(annotation: Any, metadata: list[Any]) -> Iterator[str]:
    """What may stand there, in words."""
    rules = [data for data in metadata if isinstance(data, Rule)]
    if rules:
        yield rules[0].words()
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "a group of settings"
    elif hasattr(annotation, "__metadata__"):
        yield from _values(annotation.__origin__, list(annotation.__metadata__))
    elif get_origin(annotation) is tuple:
        yield f"a list: each {next(_values(get_args(annotation)[0], []))}"
    elif get_origin(annotation) is dict:
        yield from _dict_values(*get_args(annotation))
    elif get_args(annotation) and annotation is not Any:
        for argument in get_args(annotation):
            if isinstance(argument, str):
                yield f"`{argument}`"
            elif argument is not type(None):
                yield from _values(argument, [])


def _dict_values(key: Any, value: Any) -> Iterator[str]:
    if key is Role:
        yield f"by role: {one_of(role.value for role in Role)}"
        return
    keys = next(_values(key, []), "a zone's letter")
    values = next(_values(value, []), "text")
    yield f"by name ({keys}): {values}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None or field.default in (None, (), {}, ""):
        return ""
    return "" if field.default is PydanticUndefined else f"`{show(field.default)}`".replace("'", "")


def _cloud_config() -> str:
    ours = "\n".join(f"| `{key}` | {why} |" for key, why in OURS.items())
    appended = ", ".join(f"`{key}`" for key in APPENDED)
    return (
        "## `cloud_config.ROLE`\n\n"
        f"Any key of cloud-init's cloud-config. The lists {appended} are appended to ours. "
        "These can't be set:\n\n"
        f"| Key | Why |\n|---|---|\n{ours}\n"
    )


if __name__ == "__main__":
    import sys

    sys.stdout.write(markdown())
