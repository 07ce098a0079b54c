from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts import whole_test
from scripts.whole_test import LABS, LOOSE, parts

ROOT = Path(__file__).parents[2]


def test_each_test_file_is_in_exactly_one_part() -> None:
    found = [
        path
        for part in parts()
        for path in (ROOT.glob(part) if part == LOOSE else (ROOT / part).rglob("test_*.py"))
    ]

    assert sorted(found) == sorted((ROOT / "tests").rglob("test_*.py"))


def test_labs_begin_first_and_what_is_long_before_the_rest() -> None:
    found = parts()

    assert tuple(found[: len(LABS)]) == LABS
    assert found[len(LABS) :][: len(whole_test.LONGEST)] == list(whole_test.LONGEST)


class Project:
    """A project with tests of its own, which the whole run runs."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        monkeypatch.setattr(whole_test, "ROOT", folder)
        monkeypatch.setattr(whole_test, "LOGS", folder / "logs")
        monkeypatch.setattr(whole_test, "state_folder", lambda: folder)
        monkeypatch.setattr(whole_test, "parts", lambda: parts(folder))
        monkeypatch.setattr(whole_test, "LABS", ("tests/lab",))
        monkeypatch.setattr(whole_test, "LONGEST", ("tests/long",))

    def test(self, path: str, says: str) -> None:
        file = self.folder / "tests" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.parent.name != "tests":
            file.with_name("__init__.py").touch()
        file.write_text(f"def test_it():\n    {says}\n")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path, monkeypatch)
    for path in ("lab/test_a.py", "long/test_b.py", "short/test_c.py", "test_d.py"):
        made.test(path, "pass")
    return made


@pytest.mark.slow
@pytest.mark.parametrize("processors", [1, 2])
def test_all_parts_run_once_on_one_processor_and_on_more(
    project: Project, processors: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: processors)

    assert whole_test.main() == 0

    said = capsys.readouterr().out
    for part in ("tests/lab", "tests/long", "tests/short", LOOSE):
        assert said.count(f"==> {part} begins") == said.count(f"==> {part} ended: passed in ") == 1
    assert said.count("1 passed") == 4


@pytest.mark.slow
@pytest.mark.slow
def test_one_part_alone_runs_beside_a_lab_and_more_once_it_is_done(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    program = "import pathlib, time; at = pathlib.Path({!r}); {}"
    wait = "assert any(all((at / one).exists() for one in {}) or time.sleep(0.1) for _ in range(300))"

    def does(path: str, *steps: str) -> None:
        project.test(path, program.format(str(project.folder), "; ".join(steps)))

    does("lab/test_a.py", wait.format(["b"]), "time.sleep(1)", "(at / 'a').touch()")
    # The first lane and another one take the last two, while the second still has what is long.
    does("long/test_b.py", "(at / 'b').touch()", wait.format(["c", "d"]))
    for path, own in (("short/test_c.py", "c"), ("test_d.py", "d")):
        does(path, "assert (at / 'a').exists()", f"(at / {own!r}).touch()", wait.format(["c", "d"]))

    assert whole_test.main() == 0


@pytest.mark.slow
def test_a_part_that_fails_fails_the_run_and_is_named_with_its_command(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.test("test_d.py", "raise ValueError('broken on purpose')")

    assert whole_test.main() == 1

    said = capsys.readouterr()
    assert "broken on purpose" in said.out
    assert f"==> {LOOSE} ended: FAILED (1) in " in said.out
    assert said.err == "!!! again, by itself: .venv/bin/python -m pytest tests/test_d.py\n"


@pytest.mark.slow
def test_a_part_that_has_no_test_fails_the_run(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    (project.folder / "tests/short/test_c.py").unlink()

    assert whole_test.main() == 5
    assert "tests/short ended: FAILED (5)" in capsys.readouterr().out


@pytest.mark.slow
def test_ctrl_c_ends_what_runs_and_begins_nothing_more(project: Project) -> None:
    begun = project.folder / "begun"
    for path in ("lab/test_a.py", "long/test_b.py"):
        project.test(path, f"open({str(begun)!r}, 'a').write('x'); __import__('time').sleep(300)")
    program = (
        "import sys; from pathlib import Path; from scripts import whole_test as it;"
        "it.ROOT = it.STATE = Path(sys.argv[1]); it.LOGS = it.ROOT / 'logs'; it.os.cpu_count = lambda: 2;"
        "it.LABS, it.LONGEST, made = ('tests/lab',), ('tests/long',), it.parts;"
        "it.parts = lambda: made(it.ROOT); it.main()"
    )
    run = subprocess.Popen(
        [sys.executable, "-c", program, str(project.folder)],
        cwd=ROOT,
        start_new_session=True,  # its children are in its group, as in that of a terminal's command
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (begun.exists() and begun.read_text() == "xx"):
        assert run.poll() is None
        time.sleep(0.1)

    os.killpg(run.pid, signal.SIGINT)
    said, _ = run.communicate(timeout=60)

    assert run.returncode != 0
    assert said.count("KeyboardInterrupt") and "tests/short begins" not in said
