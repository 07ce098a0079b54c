"""What a lab node gets: zipapps that run under a bare Python, the wrapper's rules, images of this Python."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from constructs_lib.errors import ToolError
from constructs_lib.simulator.build import NODE, SHEBANG, build
from constructs_lib.simulator.double import PROGRAMS
from constructs_lib.simulator.image import ENTRIES, write_rootfs
from tests.conftest import need


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    return build(out, {"marathon": "mirror/marathon:1", "chronos": "mirror/chronos:1"}, {})


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_every_program_runs_without_this_project_or_its_libraries(built: Path, program: str) -> None:
    file = built / "usr/bin" / program
    bare = str(Path(sys.base_prefix) / "bin" / "python3")
    done = subprocess.run(
        [bare, "-I", file, "--version"], capture_output=True, text=True, check=True, cwd="/"
    )
    refused = subprocess.run(
        [bare, "-I", file, "--teapot"], capture_output=True, text=True, check=False, cwd="/"
    )

    assert file.read_bytes().startswith(SHEBANG)
    assert os.access(file, os.X_OK)
    assert f"double of {program}" in done.stdout
    assert "teapot" in refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.slow
def test_the_same_sources_make_the_same_bytes_and_a_second_build_replaces_the_first(tmp_path: Path) -> None:
    first = {path: path.read_bytes() for path in build(tmp_path, {}, {}).rglob("*") if path.is_file()}
    (tmp_path / "rootfs" / "left-over").touch()
    second = {path: path.read_bytes() for path in build(tmp_path, {}, {}).rglob("*") if path.is_file()}

    assert first == second
    assert [path.name for path in tmp_path.iterdir()] == ["rootfs"]


@pytest.mark.slow
def test_folders_and_files_can_be_read_by_all_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        root = build(tmp_path / "out", {}, {})
    finally:
        os.umask(before)

    modes = {path.stat().st_mode & 0o777 for path in [root, *root.rglob("*")]}
    assert modes == {0o755, 0o644}


def test_it_brings_what_the_package_brings(built: Path) -> None:
    files = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file()}

    assert {
        "usr/bin/mesos-init-wrapper",
        "usr/lib/systemd/system/mesos-master.service",
        "usr/lib/systemd/system/mesos-agent.service",
        "etc/default/mesos",
        "etc/default/mesos-master",
        "etc/default/mesos-agent",
        "etc/mesos/zk",
    } <= files
    assert (
        built / "etc/clustermesos-doubles/images"
    ).read_text() == "marathon mirror/marathon:1\nchronos mirror/chronos:1\n"


@pytest.mark.slow
def test_real_programs_take_the_place_of_their_doubles(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    for name in ("mesos-agent", "marathon"):
        (real / name).write_text("#!/bin/sh\nexit 0\n")
        (real / name).chmod(0o755)
    (real / "chronos.tar").write_bytes(b"an archive")
    built = build(tmp_path / "out", {}, {"CLUSTERMESOS_REAL": str(real)})

    assert (built / "usr/bin/mesos-agent").read_text() == "#!/bin/sh\nexit 0\n"
    assert (built / "usr/bin/marathon").read_text() == "#!/bin/sh\nexit 0\n"
    assert (built / "usr/bin/mesos-master").read_bytes().startswith(SHEBANG)
    assert (built / "usr/lib/clustermesos-doubles/chronos.tar").read_bytes() == b"an archive"


@pytest.mark.slow
def test_fails_on_an_image_for_a_program_that_runs_from_none(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match="got an image for mesos-master, expected one of marathon"):
        build(tmp_path, {"mesos-master": "x:1"}, {})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def wrapper(built: Path, tmp_path: Path) -> Path:
    """A root with the wrapper, and programs in it that print how they were called."""
    need("bash")
    for role in ("master", "agent"):
        (tmp_path / f"etc/mesos-{role}").mkdir(parents=True)
        program = tmp_path / f"usr/bin/mesos-{role}"
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"; env | grep ^MESOS_ | sort\n')
        program.chmod(0o755)
        (tmp_path / f"etc/mesos-{role}/?no-logger").touch()
    (tmp_path / "etc/default").mkdir()
    (tmp_path / "wrapper").write_bytes((built / "usr/bin/mesos-init-wrapper").read_bytes())
    return tmp_path


def called(root: Path, role: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "DOUBLE_ROOT": str(root)}
    command = ["bash", str(root / "wrapper"), role]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def test_the_wrapper_sources_its_defaults_and_turns_files_into_flags(wrapper: Path) -> None:
    (wrapper / "etc/default/mesos").write_text("LOGS=/var/log/mesos\n")
    (wrapper / "etc/default/mesos-agent").write_text(
        "LOGS=\nMASTER=zk://h/mesos\nMESOS_ATTRIBUTES='rack:r1;zone:a'\n"
    )
    (wrapper / "etc/mesos-agent/hostname").write_text("10.0.0.31\n")
    (wrapper / "etc/mesos-agent/?no-hostname_lookup").touch()
    (wrapper / "etc/mesos-agent/port.dpkg-dist").write_text("1")
    (wrapper / "etc/mesos-agent/resources").mkdir()
    (wrapper / "etc/mesos-agent/resources/cpus").write_text("2\n")
    (wrapper / "etc/mesos-agent/resources/mem").write_text("512\n")
    done = called(wrapper, "agent")

    assert done.returncode == 0, done.stderr
    assert set(done.stdout.splitlines()) == {
        "--master=zk://h/mesos",
        "--hostname=10.0.0.31",
        "--no-hostname_lookup",
        "--resources=cpus:2;mem:512",
        "MESOS_ATTRIBUTES=rack:r1;zone:a",
    }


def test_a_value_that_is_not_quoted_stops_the_wrapper_as_it_stops_the_real_one(wrapper: Path) -> None:
    (wrapper / "etc/default/mesos-master").write_text("MESOS_X=rack:r1;zone:a\n")
    done = called(wrapper, "master")

    assert done.returncode == 127
    assert "zone:a" in done.stderr


def test_every_stray_file_becomes_a_flag(wrapper: Path) -> None:
    (wrapper / "etc/mesos-master/quorum~").write_text("2")
    assert "--quorum~=2" in called(wrapper, "master").stdout.splitlines()


def test_the_wrapper_passes_shellcheck() -> None:
    subprocess.run([need("shellcheck"), NODE / "mesos-init-wrapper"], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("program", ENTRIES)
def test_an_image_holds_the_program_and_a_python_without_a_download(built: Path, program: str) -> None:
    tar = io.BytesIO()
    write_rootfs(program, tar, (built / "usr/bin" / program).read_bytes())
    with tarfile.open(fileobj=io.BytesIO(tar.getvalue())) as found:
        names = set(found.getnames())

    assert ENTRIES[program].path.lstrip("/") in names
    assert any(name.endswith("/os.py") for name in names)
    assert any("libc.so" in name for name in names)
    assert len(tar.getvalue()) < 80 * 2**20


@pytest.mark.root
def test_an_image_runs_by_itself(built: Path, tmp_path: Path, root: None) -> None:
    tar = io.BytesIO()
    write_rootfs("chronos", tar, (built / "usr/bin/chronos").read_bytes())
    # tarfile's own way asks for a filter from Python 3.12 on, and knows none before 3.11.4, as Debian 12's.
    subprocess.run(["tar", "-xf", "-", "-C", tmp_path], input=tar.getvalue(), check=True)
    program = ENTRIES["chronos"].path
    done = subprocess.run(
        ["chroot", tmp_path, program, "--version"], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == 0, done.stderr
    assert "double of chronos" in done.stdout
