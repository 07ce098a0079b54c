"""Which programs are real is said by one variable, and a folder that is none is told so."""

from __future__ import annotations

from pathlib import Path

import pytest

from constructs_lib.errors import ToolError
from constructs_lib.simulator.double import PROGRAMS
from constructs_lib.simulator.programs import programs


def test_without_the_variable_everything_is_a_double() -> None:
    found = programs({})
    assert [one.name for one in found] == list(PROGRAMS)
    assert all(one.real is None and "a double" in one.line for one in found)


def test_real_programs_are_used_where_there_are_any(tmp_path: Path) -> None:
    (tmp_path / "mesos-master").write_text("#!/bin/sh\n")
    (tmp_path / "mesos-master").chmod(0o755)
    (tmp_path / "marathon.tar").write_bytes(b"")
    found = {one.name: one for one in programs({"CLUSTERMESOS_REAL": str(tmp_path)})}

    assert found["mesos-master"].line == f"mesos-master: {tmp_path}/mesos-master"
    assert found["marathon"].real == tmp_path / "marathon.tar"
    assert found["marathon"].is_image
    assert not found["mesos-master"].is_image
    assert found["mesos-agent"].real is None


def test_fails_on_a_folder_that_is_none_and_on_a_program_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="expected a folder with any of mesos-master"):
        programs({"CLUSTERMESOS_REAL": str(tmp_path / "nothing")})
    (tmp_path / "mesos-agent").write_text("")
    with pytest.raises(ToolError, match="make it executable"):
        programs({"CLUSTERMESOS_REAL": str(tmp_path)})
