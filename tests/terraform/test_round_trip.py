"""Text that goes through the engine and the real Terraform comes back unchanged."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from constructs_lib.terraform import (
    App,
    Output,
    Resource,
    TerraformStack,
    literal,
    local_backend,
    synth_json,
)
from tests.terraform.conftest import Terraform
from tests.terraform.sample_stack import sample_stack

# What templates, strings, comments and heredocs are made of, beside every other character there is.
MEANINGFUL = st.sampled_from(
    ["${", "$${", "%{", "%%{", "$", "%", "{", "}", '"', "\\", "\n", "\r\n", "\r", "'", "~}", "<<EOF\n", "#",
     "//", "/*", "\\u0041", "\\n", "\t", " ", "each.value", "TfToken[TOKEN.0]", "${TfToken[TOKEN.0]}",
     "#{TfToken[TOKEN.0]}", "é", "😀", "\u2028", "\x00"]
)  # fmt: skip
ANY = st.characters(exclude_categories=["Cs"])
# Terraform puts every string into NFC, in whatever way it is written.
TEXTS = (
    st.lists(MEANINGFUL | ANY, max_size=30).map("".join).map(lambda text: unicodedata.normalize("NFC", text))
)
NODE_TEXT = ("".join(map(chr, range(1, 0x250))) + '${HOME} $${x} %{if} "quoted" \\n\n' * 20) * 12


def evaluate(terraform: Terraform, texts: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """The texts after an apply: through the values of a for_each map, and through a plain attribute."""
    with TemporaryDirectory() as folder:
        stack = TerraformStack(App(outdir=folder), "texts")
        local_backend(stack, "terraform.tfstate")
        keyed = {str(number): {"text": literal(text)} for number, text in enumerate(texts)}
        each = Resource(stack, "each", "terraform_data", for_each=keyed, input="${each.value.text}")
        plain = Resource(
            stack, "plain", "terraform_data", input={key: item["text"] for key, item in keyed.items()}
        )
        Output(stack, "each-text", each.all("output"))
        Output(stack, "plain-text", plain.ref("output"))
        document = synth_json(stack)
    for old in terraform.folder.glob("terraform.tfstate*"):
        old.unlink()
    (terraform.folder / "main.tf.json").write_text(json.dumps(document))
    terraform("init")
    terraform("apply", "-auto-approve")
    outputs = terraform.json("output", "-json")
    return outputs["each-text"]["value"], outputs["plain-text"]["value"]


@pytest.mark.terraform
@example(texts=["$\r", "%\r", "$$\r\r${", "$TfToken[TOKEN.0]", "$${TfToken[TOKEN.0]}\r$$${x}"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(texts=st.lists(TEXTS, min_size=1, max_size=40))
def test_any_text_survives(run_terraform: Terraform, texts: list[str]) -> None:
    wanted = {str(number): text for number, text in enumerate(texts)}
    assert evaluate(run_terraform, texts) == (wanted, wanted)


@pytest.mark.terraform
def test_a_node_s_text_of_sixteen_kilobytes_survives(run_terraform: Terraform) -> None:
    text = unicodedata.normalize("NFC", NODE_TEXT)
    assert len(text.encode()) > 16_384
    assert evaluate(run_terraform, [text]) == ({"0": text}, {"0": text})


@pytest.mark.terraform
def test_the_sample_stack_is_valid_for_the_real_aws_plugin(
    run_terraform_aws: Terraform, tmp_path: Path
) -> None:
    document: dict[str, Any] = synth_json(sample_stack(App(outdir=str(tmp_path / "out"))))
    document["provider"]["aws"] = [
        {**one, "access_key": "a", "secret_key": "b"} for one in document["provider"]["aws"]
    ]
    (run_terraform_aws.folder / "main.tf.json").write_text(json.dumps(document))
    run_terraform_aws("init", "-backend=false")
    assert run_terraform_aws.json("validate", "-json")["diagnostics"] == []
