from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from constructs_lib.errors import RenderError
from constructs_lib.nodes.late import resolve_for_terraform, with_samples
from constructs_lib.plan.model import LateValue

ROOT = Path(__file__).parents[2]
VOLUME = LateValue(kind="data_volume_id", subject="master-1", max_length=36)
GATEWAY = LateValue(kind="gateway_public_address", subject="eu", max_length=15)


def test_a_marker_becomes_its_expression_and_the_texts_own_sequences_are_escaped() -> None:
    text = f"id={VOLUME.marker} ${{HOME}} %{{if}} $5 100%\n"

    assert resolve_for_terraform(text, {VOLUME.name: "aws_ebs_volume.x.id"}) == (
        "id=${aws_ebs_volume.x.id} $${HOME} %%{if} $5 100%\n"
    )


def test_a_marker_without_an_expression_is_an_error() -> None:
    with pytest.raises(
        RenderError, match="data_volume_id:master-1 stands in the text, but has no expression"
    ):
        resolve_for_terraform(VOLUME.marker, {})


def test_an_expression_that_nothing_asks_for_is_an_error() -> None:
    with pytest.raises(RenderError, match="gateway_public_address:eu has an expression, but does not stand"):
        resolve_for_terraform("nothing", {GATEWAY.name: "x.y"})


def test_samples_have_the_values_longest_length_and_differ() -> None:
    filled = with_samples(f"{VOLUME.marker} {GATEWAY.marker}", [VOLUME, GATEWAY])
    volume, gateway = filled.split(" ")

    assert (len(volume), len(gateway)) == (36, 15)
    assert volume[:15] != gateway


def test_a_marker_that_the_plan_does_not_declare_is_an_error() -> None:
    with pytest.raises(RenderError, match="the plan declares no such late value"):
        with_samples("@@late:data_volume_id:master-9@@", [VOLUME])


@pytest.mark.terraform
def test_terraform_gives_every_text_back_unchanged(tmp_path: Path) -> None:
    terraform = shutil.which("terraform", path=f"{ROOT / '.tools' / 'bin'}:{os.environ['PATH']}")
    if terraform is None:
        pytest.skip("terraform: make tools")
    texts = awkward_texts()
    templates = [resolve_for_terraform(text, expressions(text)) for text in texts]
    stack = {
        "variable": {"volume": {"default": "vol-1"}},
        "locals": {"texts": templates},
        "output": {"texts": {"value": "${local.texts}"}},
    }
    (tmp_path / "main.tf.json").write_text(json.dumps(stack))
    for command in (["init"], ["apply", "-auto-approve"]):
        done = subprocess.run(
            [terraform, *command, "-input=false", "-no-color"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    shown = subprocess.run(
        [terraform, "output", "-json", "texts"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    got = json.loads(shown.stdout)
    assert [g for g, t in zip(got, texts, strict=True) if g != t.replace(VOLUME.marker, "vol-1")] == []


def expressions(text: str) -> dict[str, str]:
    return {VOLUME.name: "var.volume"} if VOLUME.marker in text else {}


def awkward_texts() -> list[str]:
    """Some by hand, and 400 of pieces that mean something to HCL, JSON or YAML."""
    by_hand = [
        "${TfToken[TOKEN.0]}",
        "$TfToken[a %TfToken[ $$TfToken[",
        "$${",
        "$$${",
        "%%{",
        "$%{",
        "%${",
        "${${",
        "$",
        "$$",
        f"${VOLUME.marker}",
        f"$${VOLUME.marker}",
        f"%{VOLUME.marker}{{",
    ]
    pieces = [
        "$",
        "{",
        "}",
        "%",
        '"',
        "\\",
        "\n",
        "\r\n",
        "\t",
        " ",
        "é",
        "😀",
        "~",
        "if",
        "#",
        "'",
        ":",
        VOLUME.marker,
    ]
    chance = random.Random(1)
    return by_hand + ["".join(chance.choices(pieces, k=chance.randint(1, 12))) for _ in range(400)]
