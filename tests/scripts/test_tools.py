"""Where tools are kept, and what the locks say."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts import tools
from scripts.lock import LOCKS
from scripts.progress import ROOT, StepError

PINNED = re.compile(r"^([a-z0-9._-]+)==(\S+)", re.MULTILINE)


def _pins(name: str) -> dict[str, str]:
    return dict(PINNED.findall((ROOT / "requirements" / f"{name}.lock").read_text()))


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_a_hash_for_everything_and_names_no_host(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.lock").read_text()
    for block in re.split(r"\n(?=[a-z0-9])", text.partition("\n    make lock\n")[2] or text):
        assert not PINNED.match(block) or "--hash=sha256:" in block, block
    assert "://" not in text
    assert "index-url" not in text


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_what_pyproject_asks_for(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = list(project["dependency-groups"][name])
    if name == "dev":
        wanted += project["project"]["dependencies"]
        for extra in project["project"]["optional-dependencies"].values():
            wanted += extra
    pins = _pins(name)
    for requirement in map(Requirement, wanted):
        pinned = pins.get(canonicalize_name(requirement.name))
        assert pinned is not None, f"{requirement.name} is not in {name}.lock: make lock"
        assert requirement.specifier.contains(pinned, prereleases=True), f"{requirement}: {pinned} is locked"


def test_the_npm_lock_names_no_host_and_needs_no_install_script() -> None:
    packages = json.loads((tools.NPM_FOLDER / "package-lock.json").read_text())["packages"]
    del packages[""]
    assert len(packages) > 400
    for name, package in packages.items():
        assert "resolved" not in package, name
        assert "hasInstallScript" not in package, name
        # A bundled package comes inside another one, whose hash covers it.
        assert package.get("inBundle") or package["integrity"].startswith("sha512-"), name


def test_tools_are_kept_in_the_users_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert tools.cache_folder() == tmp_path / "clustermesos"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tools.cache_folder() == tmp_path / ".cache" / "clustermesos"


def test_a_tool_is_built_once_per_lock_and_never_left_half_built(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pin = tmp_path / "a.lock"
    built: list[Path] = []
    linked: list[Path] = []

    def build(place: Path) -> None:
        assert not list(place.iterdir())
        built.append(place)
        (place / "half").touch()
        if len(built) == 1:
            raise StepError("the network went away")

    tool = tools.Tool("a", "tool a", (pin,), build, linked.append)
    pin.write_text("one")
    with pytest.raises(StepError):
        tools.install(tool)
    tools.install(tool)
    tools.install(tool)
    assert len(built) == 2
    pin.write_text("two")
    tools.install(tool)
    assert len(set(built)) == 2
    assert linked == [built[1], built[1], built[2]]


def test_a_start_file_works_where_paths_hold_spaces_and_quotes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    odd = tmp_path / "it's a folder"
    monkeypatch.setattr(tools, "TOOLS", odd)
    program = odd / "the program"
    odd.mkdir()
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    tools._start_file("it", program, "first one")
    done = subprocess.run([odd / "bin" / "it", "a b", ""], capture_output=True, text=True, check=True)
    assert done.stdout == "first one|a b||"


def test_sums_name_the_file_that_differs(tmp_path: Path) -> None:
    (tmp_path / "a.jar").write_bytes(b"a")
    good = f"{hashlib.sha256(b'a').hexdigest()}  a.jar\n"
    tools.check_sums(tmp_path, good)
    with pytest.raises(StepError, match=r"b\.jar: SHA-256 is None"):
        tools.check_sums(tmp_path, good + "00  b.jar\n")
    (tmp_path / "a.jar").write_bytes(b"b")
    with pytest.raises(StepError, match=r"a\.jar: SHA-256 is "):
        tools.check_sums(tmp_path, good)
    (tmp_path / "c.jar").touch()
    with pytest.raises(StepError, match=r"pinned is"):
        tools.check_sums(tmp_path, good)


def test_an_unknown_tool_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        StepError, match=r"'tofu'; there are aws-plugin, cdktf, checkov, consul, consul-template, dockerd"
    ):
        tools.main(["tofu"])
