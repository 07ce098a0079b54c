"""What was compiled is found again; whatever is wrong with the cache, the text is the same."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from constructs_lib.nodes import templates
from constructs_lib.nodes.compiled import CompiledTemplates, compiled_templates

TEMPLATE = "hello {{ name }}\n"


@pytest.fixture(autouse=True)
def of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "hello.j2").write_text(TEMPLATE)


@pytest.fixture
def rendered(tmp_path: Path) -> Callable[[], str]:
    """Renders in an environment that has compiled nothing yet."""

    def render() -> str:
        made = templates.environment.__wrapped__(tmp_path / "templates")
        text: str = made.get_template("hello.j2").render(name="you")
        return text

    return render


def kept(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]


def test_a_second_run_compiles_nothing(
    rendered: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rendered() == "hello you\n"
    assert len(kept(tmp_path)) == 1
    monkeypatch.setattr("jinja2.Environment._generate", None)
    assert rendered() == "hello you\n"


def test_a_template_that_changed_is_compiled_anew(rendered: Callable[[], str], tmp_path: Path) -> None:
    rendered()
    (tmp_path / "templates" / "hello.j2").write_text("good night {{ name }}\n")
    assert rendered() == "good night you\n"


@pytest.mark.parametrize("content", [b"", b"\0" * 40, None])
def test_a_file_that_was_spoiled_is_compiled_anew(
    rendered: Callable[[], str], tmp_path: Path, content: bytes | None
) -> None:
    rendered()
    (file,) = kept(tmp_path)
    file.write_bytes(file.read_bytes()[:-9] if content is None else content)
    assert rendered() == "hello you\n"


def test_only_its_owner_may_write_to_the_folder(tmp_path: Path) -> None:
    cache = compiled_templates()
    assert isinstance(cache, CompiledTemplates)
    (folder,) = (tmp_path / "cache" / "clustermesos").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o777)
    assert compiled_templates() is None


def test_without_a_folder_that_can_be_written_nothing_is_kept(
    rendered: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert compiled_templates() is None
    assert rendered() == "hello you\n"


def test_a_disk_without_room_is_no_error(
    rendered: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(number: int, mode: str) -> None:
        os.close(number)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("constructs_lib.nodes.compiled.os.fdopen", full)
    assert rendered() == "hello you\n"
    assert kept(tmp_path) == []
