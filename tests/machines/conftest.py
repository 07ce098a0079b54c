"""Three machines that boot once for all tests here, beside the drills' lab and not counted with it."""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
import threading
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
import yaml

from constructs_lib.errors import LabError
from constructs_lib.lab.commands import missing
from constructs_lib.lab.image import image
from constructs_lib.lab.keeper import KeptLab, connect, end, lab_folder, launch
from constructs_lib.lab.overrides import OVERRIDES_FILE
from constructs_lib.spec.workspace import Workspace
from scripts.progress import ROOT, STATE
from tests.conftest import tool
from tests.lab.asking import says, until
from tests.lab.healthy import BOOT_SECONDS
from tests.lab.kept_journals import KeptJournals

CLUSTER = Path(__file__).with_name("cluster.yaml")
BACK = '#!/bin/sh\n# Double of mount.nfs: its server answers.\nexec mount -t tmpfs -o size=1m double "$2"\n'
S3 = (sys.executable, "-P", str(ROOT / "scripts/repaired_moto.py"), "--host", "10.67.0.1", "--port", "5000")
JOURNALS = KeptJournals(lambda: STATE / "machines")
BOOTED = ("consul-1", "master-1")
IMAGE = """
set -e
mkdir -p /tmp/image/bin && cp /usr/local/bin/registry-of-the-image /tmp/image/bin/registry
tar -C /tmp/image -c . | docker import --change 'ENTRYPOINT ["/bin/registry"]' - registry:3.1.0
rm -rf /tmp/image
"""
"""An image made of the program of the nodes' own image, so that nothing is downloaded."""


def overrides(folder: Path) -> Path:
    """The lab's, but the registry runs from its image, and agents mount what their pool shares."""
    settings = yaml.safe_load(OVERRIDES_FILE.read_text())
    settings["software"]["registry"] = {"source": "image"}
    settings["programs"]["registry"] = "/usr/local/bin/registry-of-the-image"
    del settings["unset"]["sites.*.agents.*.shared"]
    path = folder / "overrides.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def has_mount_helper(lab: KeptLab, root: Path) -> None:
    """The double of mount.nfs is there before the agent boots; where the keeper is, since it has the disk."""
    double = root.parents[2] / "mount.nfs"
    double.write_text(BACK)
    done = lab.reach(None, "install", "-m", "755", str(double), str(root / "usr/sbin/mount.nfs"))
    assert done.code == 0, done.err


def outside(lab: KeptLab) -> None:
    """The S3 that backups go to (moto), at the machines' default gateway; it ends with the lab."""
    with contextlib.suppress(LabError, EOFError, OSError):
        lab.reach(None, *S3, timeout=3600)


@pytest.fixture(scope="session")
def machines() -> Iterator[KeptLab]:
    """All that hold state are healthy; the agent is off."""
    if reason := missing():
        pytest.skip(f"no lab: {reason}")
    tool("registry")
    folder = Path(tempfile.mkdtemp(prefix="clustermesos-"))
    shutil.copy(CLUSTER, folder)
    workspace = Workspace(folder / CLUSTER.name)
    process = launch(workspace, image(), overrides=overrides(folder), tied=True)
    try:
        lab = connect(workspace)
        threading.Thread(target=outside, args=(lab,), daemon=True).start()
        with JOURNALS.while_booting(lab, "machines"):
            has_mount_helper(lab, lab_folder(workspace) / "machines" / "shared-1" / "root")
            lab.start(*BOOTED)
            until("Docker runs", BOOT_SECONDS, lambda: says(lab, "consul-1", "sh", "-c", IMAGE))
            lab.wait(BOOT_SECONDS, *BOOTED)
        yield lab
    finally:
        end(workspace, process)
        shutil.rmtree(folder)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the journals of a failure."""
    report = yield
    JOURNALS.of_report(item, report)
    return report
