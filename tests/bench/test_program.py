"""The program for a binding, written for a binding of three classes that stands in a temporary folder."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench import program

_HEAD = "from __future__ import annotations\nimport typing\nclass Base:\n    pass\n"
_STRUCT = """
class Disk:
    __jsii_type__ = 'x'
    def __init__(self, *, name: str) -> None:
        pass
"""


def _module(name: str, terraform_type: str, kind: str, arguments: str, more: str = "") -> str:
    place = f"/docs/{kind}/x" if kind else "/docs"
    return f"""{_HEAD}{more}
class {name}(
    Base,
):
    '''Represents a {{@link https://registry{place} {terraform_type}}}.'''

    def __init__(self, scope: object, id_: str, *, {arguments}) -> None:
        pass
"""


@pytest.fixture
def binding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    modules = {
        "provider": _module("AwsProvider", "aws", "", "region: str"),
        "vpc": _module("Vpc", "aws_vpc", "resources", "cidr_block: str, tags: typing.Mapping[str, str]"),
        "volume": _module(
            "Volume",
            "aws_ebs_volume",
            "resources",
            "size: int | float, disk: Disk, vpc_id: str, zones: typing.Sequence[str], depends_on: object",
            more=_STRUCT,
        ),
    }
    for name, text in {"": "", **modules}.items():
        folder = tmp_path / "fake_binding" / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "__init__.py").write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(program.ENGINES, "fake_binding", "cdktf")
    importlib.invalidate_caches()
    yield "fake_binding"
    for loaded in [name for name in sys.modules if name.startswith("fake_binding")]:
        del sys.modules[loaded]


def _write(binding: str, tmp_path: Path, resources: dict[str, Any]) -> str:
    stack = {
        "//": {"outputs": {"demo-eu": {}}},
        "terraform": {"backend": {"local": {"path": "x.tfstate"}}},
        "provider": {"aws": [{"region": "eu-west-3"}]},
        "resource": resources,
        "locals": {"text": "hello"},
    }
    source, target = tmp_path / "cdk.tf.json", tmp_path / "written.py"
    source.write_text(json.dumps(stack))
    program.write(binding, source, target)
    compile(target.read_text(), str(target), "exec")
    return target.read_text()


def test_a_resource_is_one_call_of_its_typed_class(binding: str, tmp_path: Path) -> None:
    text = _write(binding, tmp_path, {"aws_vpc": {"v": {"cidr_block": "10.0.0.0/16"}}})
    assert "from fake_binding.vpc import Vpc" in text
    assert "v = Vpc(\n    stack,\n    'v',\n    cidr_block='10.0.0.0/16',\n)" in text


def test_a_reference_is_an_attribute_of_what_was_made_before(binding: str, tmp_path: Path) -> None:
    volume = {"vpc_id": "${aws_vpc.v.id}", "depends_on": ["aws_vpc.v"]}
    text = _write(binding, tmp_path, {"aws_ebs_volume": {"data": volume}, "aws_vpc": {"v": {}}})
    assert text.index("v = Vpc(") < text.index("data = Volume(")
    assert "vpc_id=v.id," in text
    assert "depends_on=[v]," in text


def test_a_block_is_a_struct_and_an_expression_a_token_of_its_type(binding: str, tmp_path: Path) -> None:
    volume = {"disk": [{"name": "d"}], "size": "${var.size}", "zones": "${var.zones}"}
    text = _write(binding, tmp_path, {"aws_ebs_volume": {"data": volume}})
    assert "disk=Disk(name='d')," in text
    assert "size=Token.as_number('${var.size}')," in text
    assert "zones=Token.as_list('${var.zones}')," in text


def test_what_has_no_argument_is_an_override(binding: str, tmp_path: Path) -> None:
    text = _write(binding, tmp_path, {"aws_vpc": {"v": {"for_each": "${var.all}", "gone": 1}}})
    assert "v.add_override('for_each', '${var.all}')" in text
    assert "v.add_override('gone', 1)" in text


def test_a_reference_to_one_of_many_stays_an_expression(binding: str, tmp_path: Path) -> None:
    resources = {
        "aws_vpc": {"v": {"for_each": "${var.all}"}},
        "aws_ebs_volume": {"data": {"vpc_id": '${aws_vpc.v["a"].id}'}},
    }
    assert "vpc_id='${aws_vpc.v[\"a\"].id}'," in _write(binding, tmp_path, resources)
