"""Variables and outputs keep exactly the names that were given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from constructs_lib.errors import ResourceError
from constructs_lib.terraform import (
    App,
    Construct,
    Output,
    TerraformStack,
    Variable,
    local_backend,
    synth_json,
)
from tests.terraform.conftest import Terraform


def test_names_are_the_ids_however_deep(stack: TerraformStack) -> None:
    deep = Construct(Construct(stack, "a"), "b")
    password = Variable(deep, "db_password", sensitive=True, description="of the database")
    Output(deep, "cluster-json", {"nodes": ["${var.x}"]}, description="read by later stages")
    Output(stack, "secret", password.ref(), sensitive=True)
    synthesized = synth_json(stack)
    assert synthesized["variable"] == {
        "db_password": {"description": "of the database", "sensitive": True, "type": "string"}
    }
    assert synthesized["output"] == {
        "cluster-json": {"description": "read by later stages", "value": {"nodes": ["${var.x}"]}},
        "secret": {"sensitive": True, "value": "${var.db_password}"},
    }


def test_a_default_is_kept_even_when_it_is_empty(stack: TerraformStack) -> None:
    for name, default in {"text": "", "list": [], "zero": 0, "map": {}, "off": False}.items():
        Variable(stack, name, type="any", default=default)
    variables = synth_json(stack)["variable"]
    assert {name: variable["default"] for name, variable in variables.items()} == {
        "text": "", "list": [], "zero": 0, "map": {}, "off": False,
    }  # fmt: skip


def test_a_default_of_null_is_written_so_that_the_variable_is_optional(tmp_path: Path) -> None:
    app = App(outdir=str(tmp_path / "out"))
    for site in ("eu", "us"):
        stack = TerraformStack(app, site)
        local_backend(stack, "terraform.tfstate")
        Variable(Construct(stack, "deep"), "note", default=None, description="für niemanden")
        Variable(stack, "other", default=None)
        Variable(stack, "needed")

    app.synth()

    for site in ("eu", "us"):
        written = json.loads((tmp_path / "out/stacks" / site / "cdk.tf.json").read_text(encoding="utf-8"))
        assert written["variable"] == {
            "needed": {"type": "string"},
            "note": {"type": "string", "description": "für niemanden", "default": None},
            "other": {"type": "string", "default": None},
        }


def test_a_default_of_null_is_in_what_tests_see(stack: TerraformStack) -> None:
    Variable(stack, "note", default=None)

    assert synth_json(stack)["variable"] == {"note": {"type": "string", "default": None}}


@pytest.mark.terraform
def test_terraform_takes_a_variable_with_a_default_of_null_unasked(
    stack: TerraformStack, run_terraform: Terraform
) -> None:
    Output(stack, "is_null", f"${{{Variable(stack, 'note', default=None).ref()[2:-1]} == null}}")
    (run_terraform.folder / "cdk.tf.json").write_text(json.dumps(synth_json(stack)))

    run_terraform("init")
    run_terraform("apply", "-auto-approve", "-input=false")

    assert run_terraform.json("output", "-json")["is_null"]["value"] is True


def test_the_same_name_twice_is_refused(stack: TerraformStack) -> None:
    Variable(Construct(stack, "a"), "x")
    with pytest.raises(ResourceError, match=r"var\.x: made by two constructs, eu/a/x and eu/b/x"):
        Variable(Construct(stack, "b"), "x")
    Output(stack, "x", "an output may have the name of a variable that stands elsewhere")


@pytest.mark.parametrize("id", ["a.b", "1st", "a b"])
def test_a_name_that_terraform_would_not_take_is_refused(stack: TerraformStack, id: str) -> None:
    with pytest.raises(ResourceError, match="expected"):
        Variable(stack, id)
    with pytest.raises(ResourceError, match="expected"):
        Output(stack, id, "x")
