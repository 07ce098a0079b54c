"""The platform's own state, saved by the nodes' own scripts, destroyed, restored and compared."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from constructs_lib.components.model import Role
from constructs_lib.components.platform_backup import PARTS
from tests.components.platform_backup_here import Saver, files_of
from tests.components.registry_here import MANIFEST, Registry

pytestmark = pytest.mark.slow

VERIFIED = "restore_verified_timestamp_seconds"
SAVED = "backup_success_timestamp_seconds"


@pytest.fixture
def saver(tmp_path: Path) -> Saver:
    """A registry's node, with one image that no registry wrote: what runs around the copy is looked at."""
    found = Saver(tmp_path, files_of(Role.CONSUL), "registry")
    blob(found, b"a layer")
    return found


def size(path: Path) -> int:
    return path.stat().st_size


def blob(saver: Saver, content: bytes) -> Path:
    digest = hashlib.sha256(content).hexdigest()
    path = saver.folder / f"srv/data/registry/docker/registry/v2/blobs/sha256/{digest[:2]}/{digest}/data"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    (saver.folder / "srv/data/registry/docker/registry/v2/repositories").mkdir(exist_ok=True)
    return path


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path, files_of(Role.CONSUL))


def test_a_registry_that_was_destroyed_serves_its_images_again(registry: Registry) -> None:
    saver = Saver(registry.folder, registry.files, "registry")
    registry.start()
    try:
        digest = registry.push_image("shop")
        pushed = held(saver)
        saved = saver.run("save")
        assert saved.returncode == 0, saved.stderr
        registry.stop()
        shutil.rmtree(registry.folder / "srv/data/registry/docker")
        restored = saver.run("restore", "registry")
        assert restored.returncode == 0, restored.stderr
        registry.start()
        assert registry.ask("GET", f"/v2/shop/blobs/{digest}")[0] == 200
        assert registry.ask("GET", "/v2/shop/manifests/1", Accept=MANIFEST)[0] == 200
        assert held(saver) == pushed
    finally:
        registry.stop()


def held(saver: Saver) -> dict[Path, bytes]:
    """What the registry has, whole, but for uploads that never became an image's."""
    state = saver.folder / "srv/data/registry/docker"
    files = (path for path in state.rglob("*") if path.is_file() and "_uploads" not in path.parts)
    return {path.relative_to(state): path.read_bytes() for path in files}


def test_what_is_older_than_is_kept_goes_and_the_newest_four_stay(saver: Saver) -> None:
    for number in range(6):
        blob(saver, f"layer {number}".encode())
        assert saver.run("save").returncode == 0
    listed = subprocess.run(saver.restic("snapshots", "--json"), capture_output=True, text=True, check=True)
    assert len(json.loads(listed.stdout)) == 4
    shutil.rmtree(saver.folder / "srv/data/registry/docker")
    assert saver.run("restore", "registry").returncode == 0
    assert len(list((saver.folder / "srv/data/registry/docker").rglob("data"))) == 7


def test_only_a_backup_that_came_back_is_proved(saver: Saver) -> None:
    assert saver.run("save").returncode == 0
    assert saver.metric(SAVED) and saver.metric(VERIFIED) is None
    tested = saver.run("test")
    assert tested.returncode == 0, tested.stderr
    assert saver.metric(VERIFIED)
    left = [path.name for path in (saver.folder / "srv/data/platform-backup").iterdir()]
    assert left == ["lock"], "copies are left"


def test_nothing_is_no_green_backup_and_the_last_success_stays_known(saver: Saver) -> None:
    assert saver.run("save").returncode == 0
    before = saver.metric(SAVED)
    shutil.rmtree(saver.folder / "srv/data/registry/docker")
    done = saver.run("save")
    assert done.returncode == 1 and "no image was pushed yet" in done.stderr
    assert (saver.metric(SAVED), saver.metric("save_failed")) == (before, 1)


def test_a_backup_that_never_succeeded_is_told_as_zero(saver: Saver) -> None:
    shutil.rmtree(saver.folder / "srv/data/registry/docker")
    assert saver.run("save").returncode == 1
    assert saver.metric(SAVED) == 0
    assert not saver.repository.exists()


def test_metrics_of_a_full_disk_leave_those_of_before_and_are_told(saver: Saver) -> None:
    assert saver.run("save").returncode == 0
    before = saver.metric(SAVED)
    (told,) = saver.folder.rglob("platform-save-registry.prom")
    told.with_suffix(".prom.new").symlink_to("/dev/full")
    # That device is everybody's.
    saver.double("chmod", "exit 0")

    done = saver.run("save")

    assert done.returncode == 1
    assert "save failed: registry (metrics)" in done.stderr
    assert not told.is_symlink() and saver.metric(SAVED) == before


def test_a_corrupted_repository_is_found_and_nothing_is_restored_from_it(saver: Saver) -> None:
    assert saver.run("save").returncode == 0
    for pack in (saver.repository / "data").rglob("*"):
        if pack.is_file():
            pack.chmod(0o600)
            pack.write_bytes(b"\0" * 64 + pack.read_bytes()[64:])
    there = blob(saver, b"another layer")
    tested, restored = saver.run("test"), saver.run("restore", "registry", "--force")
    assert tested.returncode == 1 and "registry" in tested.stderr
    assert saver.metric(VERIFIED) == 0
    assert restored.returncode == 1 and "can't be restored" in restored.stderr
    assert there.read_bytes() == b"another layer"


def test_a_lost_repository_file_fails_the_backup_itself(saver: Saver) -> None:
    blob(saver, os.urandom(100_000))
    assert saver.run("save").returncode == 0
    before = saver.metric(SAVED)
    # That of the content: for one of folders restic 0.14 looks again and again for two minutes.
    max((path for path in (saver.repository / "data").rglob("*") if path.is_file()), key=size).unlink()
    done = saver.run("save")
    assert done.returncode == 1 and "the repository is damaged" in done.stderr
    assert saver.metric(SAVED) == before and saver.metric("save_failed") == 1


def test_a_stale_lock_stops_nothing(saver: Saver) -> None:
    assert saver.run("save").returncode == 0
    locks = saver.repository / "locks"
    held = subprocess.Popen(
        saver.restic("backup", "--stdin"), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        end = time.monotonic() + 60
        while not [path for path in locks.iterdir() if "-tmp-" not in path.name]:
            assert time.monotonic() < end
            time.sleep(0.02)
    finally:
        held.kill()
        held.wait()
        if held.stdin:
            held.stdin.close()
    for verb in ("save", "test"):
        done = saver.run(verb)
        assert done.returncode == 0, done.stderr
    assert list(locks.iterdir()) == []


def test_a_copy_whose_blob_has_another_content_than_its_digest_is_no_proof(saver: Saver) -> None:
    blob(saver, b"a second layer").write_bytes(b"the disk lied")
    assert saver.run("save").returncode == 0
    done = saver.run("test")
    assert done.returncode == 1 and "has another content" in done.stderr
    assert saver.metric(VERIFIED) == 0


def test_a_tag_whose_image_is_missing_is_no_proof(saver: Saver) -> None:
    folder = saver.folder / "srv/data/registry/docker/registry/v2/repositories/shop/_manifests/tags/1/current"
    folder.mkdir(parents=True)
    (folder / "link").write_text(f"sha256:{'0' * 64}")
    assert saver.run("save").returncode == 0
    done = saver.run("test")
    assert done.returncode == 1 and "names an image that is not there" in done.stderr


def test_a_registry_that_runs_is_not_restored_even_when_told(saver: Saver) -> None:
    assert saver.run("save").returncode == 0
    saver.says_that_units_run(True)
    done = saver.run("restore", "registry", "--force")
    assert done.returncode == 1 and "systemctl stop docker-registry" in done.stderr


def test_a_folder_that_is_not_empty_is_kept_beside_what_is_restored_and_only_when_told(saver: Saver) -> None:
    assert saver.run("save").returncode == 0
    newer = blob(saver, b"newer than the backup")
    refused = saver.run("restore", "registry")
    assert refused.returncode == 1 and "--force" in refused.stderr and newer.exists()
    done = saver.run("restore", "registry", "--force")
    assert done.returncode == 0, done.stderr
    state = saver.folder / "srv/data/registry"
    assert not newer.exists()
    [before] = state.glob("before-*")
    assert (before / newer.relative_to(state / "docker")).read_bytes() == b"newer than the backup"


def test_a_restore_that_ended_between_is_done_again_and_loses_nothing(saver: Saver) -> None:
    assert saver.run("save").returncode == 0
    newer = blob(saver, b"newer than the backup")
    flag, real = saver.folder / "moved", shutil.which("mv")
    # Ends once what was there is out of the way, before what came back is in its place.
    saver.double("mv", f'[ -e {flag} ] && exit 1; touch {flag}; exec {real} "$@"')
    assert saver.run("restore", "registry", "--force").returncode == 1
    (saver.folder / "doubles/mv").unlink()
    assert not newer.exists()
    done = saver.run("restore", "registry")
    assert done.returncode == 0, done.stderr
    state = saver.folder / "srv/data/registry"
    assert len(list((state / "docker").rglob("data"))) == 1
    [before] = state.glob("before-*")
    assert (before / newer.relative_to(state / "docker")).read_bytes() == b"newer than the backup"


def test_a_snapshot_of_something_else_is_refused(saver: Saver) -> None:
    assert saver.run("save").returncode == 0
    shutil.rmtree(saver.folder / "srv/data/registry/docker")
    done = saver.run("restore", "registry", "--snapshot", "00000000")
    assert done.returncode == 1 and "00000000 can't be restored" in done.stderr


def test_words_that_it_does_not_know_are_told(saver: Saver) -> None:
    assert "got nothing" in saver.run().stderr
    assert "got teapot, expected one of registry" in saver.run("restore", "teapot").stderr
    assert "got no component" in saver.run("restore").stderr


def test_a_missing_secret_is_named(saver: Saver) -> None:
    next(saver.folder.rglob("RESTIC_PASSWORD")).unlink()
    done = saver.run("save")
    assert done.returncode == 1 and "RESTIC_PASSWORD is not on this node" in done.stderr


def test_each_node_saves_what_it_holds() -> None:
    held = {
        role: [file.path for file in files_of(role).files if file.path.startswith(f"{PARTS}/")]
        for role in (Role.CONSUL, Role.MASTER, Role.EDGE)
    }
    assert held == {
        Role.CONSUL: [f"{PARTS}/consul", f"{PARTS}/registry"],
        Role.MASTER: [f"{PARTS}/zookeeper"],
        Role.EDGE: [],
    }
