"""What `apply --prune` leaves in a whole run: nothing goes while what may replace it has failed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from constructs_lib.contracts.compiled import Compiled, CompiledContract
from constructs_lib.hooks.report import Report
from constructs_lib.hooks.run import Run
from constructs_lib.hooks.settings import FOLDER
from constructs_lib.simulator.cluster import Fault
from tests.hooks.rolling_platform import Platform
from tests.hooks.test_jobs import HOURLY


def applied(platform: Platform, *contracts: CompiledContract) -> Report:
    """What turned round before is tried again."""
    with platform.connected() as found:
        compiled = Compiled(cluster="shop", contracts=contracts)
        return Run.of(found, compiled, prune=True, forgive=True, say=platform.told.append).apply()


def left(platform: Platform, name: str) -> tuple[bool, bool]:
    """Whether a contract's setting is there, and its job."""
    with platform.connected() as found:
        setting = found.consuls["eu"].kv.get(f"{FOLDER}{name}/colour")[1]
        jobs = {job["name"] for job in found.chronos.jobs()}
    return setting is not None, f"{name}.backup" in jobs


@pytest.mark.slow
def test_settings_and_jobs_of_a_contract_that_is_gone_stay_while_its_application_does(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("constructs_lib.hooks.run.wait_until_ready", lambda *_, **__: ())
    name, fresh = platform.name, f"{platform.name}-new"
    job = {**HOURLY, "name": f"{name}.backup"}
    gone = replace(platform.contract("v1"), settings={f"{name}/colour": "blue"}, jobs=(job,))
    assert applied(platform, gone).good
    labels = {**gone.app.body["labels"], "clustermesos/contract": fresh}
    app = replace(gone.app, id=f"/{fresh}/v1", body={**gone.app.body, "labels": labels})
    instead = replace(gone, name=fresh, app=app, settings={f"{fresh}/colour": "red"}, jobs=())
    platform.cluster.inject(Fault(kind="no_offers", seconds=10**6))

    failed = applied(platform, instead)

    assert not failed.good
    assert left(platform, name) == (True, True)
    assert left(platform, fresh)[0], "what its replacement needs was made all the same"
    kept = {
        one.name for each in failed.outcomes for one in each.changes if "not pruned: " in str(one.details)
    }
    assert kept == {f"eu:{FOLDER}{name}/colour", f"/{name}/v1", f"{name}.backup"}

    platform.cluster.heal()
    good = applied(platform, instead)

    assert good.good and left(platform, name) == (False, False)
    assert {one.name for one in good.changes if one.action == "delete"} == kept
