from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from constructs_lib.components import component_names
from constructs_lib.errors import SpecFileError
from constructs_lib.spec import json_schema
from constructs_lib.spec.document import compose
from constructs_lib.spec.load import from_dict

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SCHEMA = json_schema.json_schema()
STRUCTURAL = [
    "unknown-setting-near", "unknown-setting-top", "masters-two", "masters-seven", "masters-as-text",
    "masters-number", "consul-two", "missing-name", "missing-sites", "missing-platform", "missing-aws",
    "missing-region", "missing-network", "missing-admin", "missing-ssh-keys", "missing-admin-networks",
    "missing-agent-count", "name-upper", "name-too-long", "name-number", "site-name-upper",
    "pool-name-dot", "platform-azure", "network-ipv6", "network-no-length", "zones-four",
    "zones-twice", "zones-upper", "zones-empty", "mtu", "protect-data-no", "pool-count-and-min",
    "pool-min-without-max", "pool-negative", "pool-fraction", "pool-spot-yes", "pool-attribute-number",
    "pool-list", "edge-allow-without-public", "gateway-count", "admin-network-no-list",
    "admin-user-upper", "ssh-key-private", "ssh-key-dsa", "tags-number", "software-unknown",
    "software-nested", "software-float", "software-sha256-short", "state-kind-unknown",
    "state-s3-unencrypted", "state-http-not-encrypted", "cloud-config-role", "cloud-config-users",
    "cloud-config-runcmd-text",
]  # fmt: skip
"""Bad files whose fault one value or one group shows."""


def errors_of(data: object) -> list[str]:
    return [error.message for error in Draft202012Validator(SCHEMA).iter_errors(data)]


def plain(path: Path) -> object:
    return compose(path.read_text(encoding="utf-8"), path.name).root.plain()


def test_it_is_a_schema_of_its_dialect() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == json_schema.DIALECT


@pytest.mark.parametrize("path", sorted((HERE / "good").glob("*.yaml")), ids=lambda path: path.stem)
def test_good_files_are_valid(path: Path) -> None:
    assert errors_of(plain(path)) == []


@pytest.mark.parametrize("name", STRUCTURAL)
def test_structural_faults_are_refused(name: str) -> None:
    assert errors_of(plain(HERE / "bad" / f"{name}.yaml"))


def test_examples_are_valid_and_load() -> None:
    assert SCHEMA["examples"]
    for example in SCHEMA["examples"]:
        assert errors_of(example) == []
        from_dict(example)


@pytest.mark.parametrize("path", sorted((HERE / "bad").glob("*.yaml")), ids=lambda path: path.stem)
def test_what_the_schema_refuses_the_loader_refuses(path: Path) -> None:
    try:
        data = plain(path)
    except SpecFileError:
        return
    if errors_of(data):
        with pytest.raises(SpecFileError):
            from_dict(data)  # type: ignore[arg-type]


def groups(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        schema = list(schema.values())
    if isinstance(schema, list):
        for child in schema:
            yield from groups(child)


def test_every_setting_is_described_and_no_group_takes_others() -> None:
    found = list(groups(SCHEMA))
    assert len(found) > 15
    for group in found:
        if "hostname" in group["properties"]:  # cloud-config belongs to cloud-init
            continue
        assert group["additionalProperties"] is False
        for name, setting in group["properties"].items():
            assert "description" in setting or name in component_names(), name


def test_components_are_enumerated() -> None:
    assert set(component_names()) <= set(SCHEMA["$defs"]["SoftwareSpec"]["properties"])
    assert "components" not in SCHEMA["$defs"]["SoftwareSpec"]["properties"]


def test_the_committed_copy_is_this_schema() -> None:
    committed = (ROOT / "docs" / "cluster.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == SCHEMA, "run: clustermesos schema > docs/cluster.schema.json"
    assert committed == json_schema.text()
