"""The cloud that is written by hand runs as its user would run it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.aws.test_examples import run
from tests.openstack.clusters import CASES, GOLDEN, cluster_stack, resources, settings, site_plan


@pytest.mark.parametrize("case", CASES)
def test_the_cloud_written_by_hand_is_the_composed_one(case: str, tmp_path: Path) -> None:
    shutil.copyfile(GOLDEN / case / "cluster.yaml", tmp_path / "cluster.yaml")

    by_hand = run(tmp_path, "-m", "stacks.private")

    name = settings(case)["name"]
    composed = re.sub(rf"\b{name}_(?=\w+)", "", json.dumps(resources(cluster_stack(site_plan(case)))))
    # What stands alone under the cluster's own id stands under its kind here.
    assert resources(by_hand) == json.loads(composed)
