"""What an operator says to a deployment: pause, resume, promote."""

from __future__ import annotations

import pytest

from constructs_lib.errors import HookError
from constructs_lib.hooks.by_hand import pause, promote, resume
from constructs_lib.hooks.observed import Judgement
from tests.hooks.rolling_platform import Platform


def test_a_manual_canary_outlives_the_command_and_is_promoted_by_its_document(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    canary = platform.contract("v2", "canary", promote="manual")

    class Undecided:
        def judge(self, *_: object) -> Judgement:
            return Judgement(says="undecided", why="7 of 100 requests")

    end = platform.deploy(canary, analyst=Undecided())

    waits = "waits for promotion of canary v2: 7 of 100 requests"
    assert (end.good, end.why) == (True, f"{waits}; next: clustermesos promote {platform.name}")
    assert platform.running() == {"v1": 2, "v2": 1}
    documents = platform.rollout().documents
    with pytest.raises(HookError, match=r"version v2 is not paused"):
        resume(documents, platform.name, platform.cluster.now())

    assert promote(documents, platform.name, platform.cluster.now()) == "v2"

    with pytest.raises(HookError, match=r"no canary of version v2 waits"):
        promote(documents, platform.name, platform.cluster.now())
    assert platform.deploy(canary).good
    assert platform.running() == {"v2": 2}


def test_a_paused_deployment_waits_until_somebody_resumes_it(platform: Platform) -> None:
    platform.deploy(platform.contract("v1"))
    second, documents = platform.contract("v2"), platform.rollout().documents
    with pytest.raises(HookError, match=r"nothing of it is being deployed"):
        pause(documents, platform.name)
    with pytest.raises(HookError, match=r"not done in time"):
        platform.deploy(second, seconds=3.0)

    assert pause(documents, platform.name) == "v2"

    next_one = f"clustermesos resume {platform.name}"
    assert platform.deploy(second).why == f"waits for somebody to resume it; next: {next_one}"
    assert platform.rollout().pending(second) == ("deployment of v2 is not finished",)
    resume(documents, platform.name, platform.cluster.now())
    assert platform.deploy(second).good
    with pytest.raises(HookError, match=r"nothing of it is being deployed"):
        promote(documents, platform.name, platform.cluster.now())
