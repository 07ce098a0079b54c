"""docs/on-call.md is lived through: each command in order, against a simulator and a real Consul.

`python -m tests.cli.test_on_call` writes what the commands print now into the page.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest

from constructs_lib.components import COMPONENTS
from scripts.progress import ROOT
from tests.cli.on_call import PAGE, begun_as_the_page_says, masked, night, steps
from tests.contracts.test_golden import compiled

TEXT = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""


@pytest.mark.slow
def test_every_command_of_the_night_says_what_the_page_shows(consul: Path, tmp_path: Path) -> None:
    with night(consul, tmp_path / "night") as lived:
        for step in (step for block in steps(TEXT) for step in block):
            code, said = lived.run(step.command)

            assert masked(said) == masked(step.expected), f"{step.command}\n{said}"
            assert code == step.code, step.command


@pytest.mark.slow
def test_whoever_begins_as_the_page_says_has_a_platform_to_type_at(consul: Path, tmp_path: Path) -> None:
    with begun_as_the_page_says(consul, tmp_path / "night") as lived:
        code, said = lived.run("clustermesos apply --gate-timeout 20")

        assert code == 0, said
        assert lived.run("clustermesos status")[0] == 0


def test_every_alert_has_a_row_with_the_first_command() -> None:
    declared = {alert.name for component in COMPONENTS for alert in component.alerts}
    of_contracts = {
        rule["alert"].removesuffix("Never")
        for one in compiled().contracts
        for group in one.rules
        for rule in group["rules"]
    }
    rows = re.findall(r"^\| ([A-Z][A-Za-z, ]+) \| .*`.+`.* \|", TEXT, re.MULTILINE)

    assert {name.removesuffix("Never") for row in rows for name in row.split(", ")} == {
        name.removesuffix("Never") for name in declared | of_contracts | {"DownBeforeApply"}
    }


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)\)", TEXT)

    assert links and [link for link in links if not (ROOT / "docs" / link).exists()] == []


if __name__ == "__main__":
    from tests.cli.on_call import lived

    with (
        tempfile.TemporaryDirectory() as made,
        night(ROOT / ".tools/bin/consul", Path(made) / "n") as tonight,
    ):
        PAGE.write_text(lived(TEXT, tonight), encoding="utf-8")
