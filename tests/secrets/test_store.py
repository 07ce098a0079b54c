from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from constructs_lib.errors import SecretsError
from constructs_lib.secrets.store import locked, read_store, write_store

VALUE = "a-secret-value"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / ".clustermesos"
    folder.mkdir(mode=0o700)
    path = folder / "secrets.json"
    write_store(path, {"alpha": VALUE})
    return path


def refused(store: Path) -> str:
    with pytest.raises(SecretsError) as raised:
        read_store(store)
    text = str(raised.value)
    assert VALUE not in text
    assert "\n" not in text
    return text


def test_what_was_written_is_read(store: Path) -> None:
    assert read_store(store) == {"alpha": VALUE}


def test_no_file_is_no_secrets(tmp_path: Path) -> None:
    assert read_store(tmp_path / "secrets.json") == {}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o601])
def test_a_file_that_others_can_read_or_change_is_refused_with_the_command(store: Path, mode: int) -> None:
    store.chmod(mode)

    assert f"run: chmod 600 {store}" in refused(store)


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701])
def test_a_folder_that_lets_others_in_is_refused_with_the_command(store: Path, mode: int) -> None:
    store.parent.chmod(mode)

    assert f"run: chmod 700 {store.parent}" in refused(store)
    with pytest.raises(SecretsError, match="chmod 700"):
        write_store(store, {"alpha": "other"})


def test_a_symbolic_link_is_refused(store: Path) -> None:
    store.rename(store.with_name("elsewhere"))
    store.symlink_to("elsewhere")

    assert "symbolic link" in refused(store)


@pytest.mark.root
def test_a_file_of_somebody_else_is_refused(store: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    os.chown(store, 12345, 12345)

    assert "belongs to uid 12345" in refused(store)


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_anything_but_a_file_in_its_place_is_refused(store: Path, make: Callable[[Path], None]) -> None:
    store.unlink()
    make(store)

    assert "not a regular file" in refused(store)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("\udcff", "not JSON"),
        ("[]", "version: got None, expected 1"),
        ('{"version": 2, "secrets": {}}', "version: got 2, expected 1"),
        ('{"version": 1}', "secrets: expected a mapping"),
        ('{"version": 1, "secrets": {"alpha": 1}}', "secrets: expected a mapping"),
        ('{"version": 1, "secrets": {"alpha": ""}}', "secrets: expected a mapping"),
    ],
)
def test_a_file_that_is_no_store_says_so_and_where_to_get_it(store: Path, text: str, words: str) -> None:
    store.write_bytes(text.encode(errors="surrogateescape"))

    message = refused(store)

    assert words in message
    assert "restore it from your backup" in message


def test_a_disk_that_takes_nothing_leaves_the_old_store(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SecretsError, match="No space left on device"):
        write_store(store, {"alpha": "new"})

    assert read_store(store) == {"alpha": VALUE}
    assert sorted(path.name for path in store.parent.iterdir()) == ["secrets.json"]


def test_a_store_that_somebody_else_holds_is_waited_for_and_then_reported(store: Path) -> None:
    holder = subprocess.Popen(
        ["flock", f"{store}.lock", "-c", "echo held; cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    holder.stdout.readline()
    try:
        with (
            pytest.raises(SecretsError, match="another clustermesos has held it"),
            locked(store, patience=0.1),
        ):
            pass
    finally:
        holder.communicate(timeout=60)
    with locked(store, patience=0.1):
        pass
