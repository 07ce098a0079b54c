"""Chronos jobs: what they carry, where they run, when they start, and that no secret is in them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constructs_lib.contracts.chronos_jobs import keep_options
from constructs_lib.contracts.compile import compile_contract
from constructs_lib.contracts.compiled import CompiledContract
from constructs_lib.contracts.ops import KeepSpec
from constructs_lib.contracts.schedule import from_now, in_words, interval, repeating, start_of
from constructs_lib.plan.model import ClusterPlan
from tests.contracts.clusters import hybrid, one_site
from tests.contracts.examples import contract
from tests.contracts.test_golden import compiled

STATE = {"state": {"volumes": {"data": {"path": "/data"}}}}
BACKUPS: dict[str, Any] = {
    "backups": {
        "offsite": {
            "repository": "s3:https://s3.eu-west-3.amazonaws.com/saved",
            "password": "backup/password",
        }
    },
    "app_secrets": {"backup/password": {"pools": ["general", "data"]}},
}


def jobs(
    backup: dict[str, Any] | None = None, plan: ClusterPlan | None = None, **ops: Any
) -> dict[str, dict[str, Any]]:
    return {job["name"]: dict(job) for job in backed_up(backup, plan, **ops).jobs}


def backed_up(
    backup: dict[str, Any] | None = None, plan: ClusterPlan | None = None, **ops: Any
) -> CompiledContract:
    given = {"pools": ["data"], "deploy": {"strategy": "recreate"}} | ops
    shop = contract(dev=STATE, backup={"volume": "data"} | (backup or {}), **given)
    return compile_contract(shop, plan or one_site(**BACKUPS))


def environment(job: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["value"] for each in job["environmentVariables"]}


def test_a_backup_is_four_jobs_and_a_dump_is_one_more_before_them() -> None:
    assert list(jobs()) == ["shop.backup", "shop.restore-test", "shop.forget", "shop.check"]
    dumped = jobs({"before": {"command": "pg_dump"}})
    assert list(dumped) == ["shop.dump", "shop.backup", "shop.restore-test", "shop.forget", "shop.check"]
    assert dumped["shop.backup"]["parents"] == ["shop.dump"] and "schedule" not in dumped["shop.backup"]


def test_without_a_backup_there_is_no_job() -> None:
    assert compile_contract(contract(), one_site()).jobs == ()


def test_each_node_with_data_has_jobs_of_its_own_and_the_repository_has_one_of_each() -> None:
    found = jobs({"to": "offsite"}, hybrid(), pools=["general"], nodes=["10.20.80.4", "10.20.80.5"])
    assert list(found) == [
        "shop.backup.10-20-80-4",
        "shop.restore-test.10-20-80-4",
        "shop.forget.10-20-80-4",
        "shop.check.10-20-80-4",
        "shop.backup.10-20-80-5",
        "shop.restore-test.10-20-80-5",
    ]
    assert found["shop.backup.10-20-80-5"]["constraints"] == [["hostname", "EQUALS", "10.20.80.5"]]
    assert environment(found["shop.backup.10-20-80-5"])["SAVED_HOST"] == "10.20.80.5"


def test_jobs_say_whose_they_are_and_where_they_run() -> None:
    for job in jobs().values():
        assert job["owner"] == "clustermesos:demo"
        assert job["ownerName"] == "shop@example.org"
        assert job["constraints"] == [["pool", "EQUALS", "data"]]
        assert re.fullmatch(r"[\w.-]+", job["name"])
        assert job["epsilon"] == "PT30M" and job["container"]["network"] == "HOST"


def test_no_secret_is_in_a_job_but_the_path_of_its_file() -> None:
    for one in compiled().contracts:
        for job in one.jobs:
            assert not [name for name in environment(dict(job)) if name.startswith("AWS_")]
            assert "PASSWORD" not in environment(dict(job)).keys() - {"RESTIC_PASSWORD_FILE"}
    mounts = {each["containerPath"]: each for each in jobs()["shop.check"]["container"]["volumes"]}
    assert mounts["/run/secrets/RESTIC_PASSWORD"] == {
        "hostPath": "/etc/clustermesos/app-secrets/backup/password",
        "containerPath": "/run/secrets/RESTIC_PASSWORD",
        "mode": "RO",
    }


def test_only_the_dump_and_the_scratch_folder_are_written_to() -> None:
    for name, job in jobs({"before": {"command": "pg_dump"}, "what": "both"}).items():
        written = {v["containerPath"] for v in job["container"]["volumes"] if v["mode"] == "RW"}
        own = {"shop.dump": {"/dump"}, "shop.restore-test": {"/metrics", "/scratch"}}
        assert written == own.get(name, {"/metrics"})


def test_a_repository_is_the_contracts_own() -> None:
    assert (
        environment(jobs()["shop.backup"])["RESTIC_REPOSITORY"]
        == "s3:https://s3.eu-west-3.amazonaws.com/saved/demo/shop"
    )


def test_what_runs_restic_comes_by_the_clusters_mirror() -> None:
    mirrored = one_site(**BACKUPS, software={"image_prefix": "mirror.example.org/hub"})
    assert jobs()["shop.check"]["container"]["image"] == "restic/restic:0.18.0"
    assert (
        jobs(plan=mirrored)["shop.check"]["container"]["image"]
        == "mirror.example.org/hub/restic/restic:0.18.0"
    )


@pytest.mark.parametrize(
    ("backup", "saved", "seen"),
    [
        ({}, "/data", "/data"),
        ({"before": {"command": "d"}}, "/dump", "/dump"),
        ({"before": {"command": "d"}, "what": "both"}, "/data /dump", ""),
        ({"before": {"command": "d"}, "what": "volume"}, "/data", "/data"),
    ],
    ids=str,
)
def test_what_is_saved(backup: dict[str, Any], saved: str, seen: str) -> None:
    found = jobs(backup)
    assert environment(found["shop.backup"])["SAVED"] == saved
    assert environment(found["shop.restore-test"])["VERIFY_IN"] == seen
    # A dump is put back beside the application, a volume below it.
    assert backed_up(backup).stops_to_restore == ("/data" in saved)


def test_retention_is_what_the_contract_says() -> None:
    assert keep_options(KeepSpec(daily=7, weekly=0, monthly=2)) == "--keep-daily 7 --keep-monthly 2"
    assert environment(jobs({"keep": {"last": 3}})["shop.forget"])["KEEP"].startswith("--keep-last 3 ")


@pytest.mark.parametrize(
    ("schedule", "found"),
    [
        ("daily at 02:30", "R/2026-01-05T02:30:00Z/P1D"),
        ("PT6H", r"R/2026-01-05T0[0-5]:\d\d:00Z/PT6H"),
        ("hourly", r"R/2026-01-05T00:\d\d:00Z/PT1H"),
        ("daily", r"R/2026-01-05T0[0-5]:\d\d:00Z/P1D"),
        ("weekly at 04:00", r"R/2026-01-(0[5-9]|1[01])T04:00:00Z/P7D"),
        ("monthly", r"R/2026-0[12]-\d\dT0[0-5]:\d\d:00Z/P30D"),
        ("P3D", r"R/2026-01-0[5-7]T0[0-5]:\d\d:00Z/P3D"),
    ],
)
def test_a_schedule_has_a_fixed_start_that_the_jobs_name_decides(schedule: str, found: str) -> None:
    assert re.fullmatch(found, repeating(schedule, "shop.backup"))
    assert repeating(schedule, "shop.backup") == repeating(schedule, "shop.backup")


def test_many_jobs_are_spread() -> None:
    assert len({repeating("daily", f"app-{number}.backup") for number in range(100)}) > 80


@given(st.integers(1, 23), st.integers(1, 30))
def test_an_interval_is_what_the_schedule_says(hours: int, days: int) -> None:
    assert interval(f"PT{hours}H") == timedelta(hours=hours)
    assert interval(f"P{days}D") == timedelta(days=days)


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("R/2026-01-05T02:30:00Z/P1D", "daily at 02:30 UTC"),
        ("R/2026-11-29T00:33:00.000Z/P7D", "on Sundays at 00:33 UTC"),
        ("R3/2026-01-05T03:24:00Z/PT1H", "hourly at minute 24"),
        ("R/2026-01-05T03:24:00Z/PT6H", "every 6 hours at minute 24"),
        ("R/2026-01-20T03:00:00Z/P30D", "every 30 days at 03:00 UTC"),
        ("R1//PT1H", "schedule R1//PT1H"),
        ("R/2026-01-05T02:30:00Z/P1M", "schedule R/2026-01-05T02:30:00Z/P1M"),
    ],
)
def test_a_schedule_is_told_in_words_and_one_of_another_kind_as_it_is(schedule: str, words: str) -> None:
    assert in_words(schedule) == words


@pytest.mark.parametrize(
    ("schedule", "sent"),
    [
        ("R/2026-01-05T02:30:00Z/P1D", "R/2026-11-27T02:30:00Z/P1D"),
        ("R/2026-01-05T01:30:00Z/P1D", "R/2026-11-28T01:30:00Z/P1D"),
        ("R/2026-01-05T02:00:00Z/P1D", "R/2026-11-27T02:00:00Z/P1D"),
        ("R/2026-01-06T00:45:00.000Z/P7D", "R/2026-12-01T00:45:00Z/P7D"),
        ("R/2027-01-05T02:30:00Z/PT6H", "R/2027-01-05T02:30:00Z/PT6H"),
        ("R1//PT1H", "R1//PT1H"),
    ],
)
def test_a_schedule_is_sent_with_the_start_that_is_to_come(schedule: str, sent: str) -> None:
    assert from_now(schedule, datetime(2026, 11, 27, 2, tzinfo=UTC)) == sent
    assert in_words(sent) == in_words(schedule)


def test_the_start_of_a_schedule_is_read_where_it_has_one() -> None:
    assert start_of("R/2026-11-29T00:33:00.000Z/P7D") == datetime(2026, 11, 29, 0, 33, tzinfo=UTC)
    assert [start_of(text) for text in ("R1//PT1H", "None", "R/2026-13-05T00:00:00Z/P1D")] == [None] * 3


@pytest.mark.parametrize("schedule", ["daily at 02:30", "PT6H", "hourly", "weekly", "monthly", "P3D"])
def test_every_schedule_of_a_contract_has_words(schedule: str) -> None:
    assert not in_words(repeating(schedule, "shop.backup")).startswith("schedule")


def test_shellcheck_takes_every_command(tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is missing: scripts/system_packages.sh installs it")
    folder = Path(__file__).parents[2] / "constructs_lib" / "contracts" / "scripts"
    common = (folder / "common.sh").read_text(encoding="utf-8")
    for path in sorted(folder.glob("*.sh")):
        script = tmp_path / path.name
        before = common if path.name not in ("common.sh", "dump.sh", "load.sh") else ""
        script.write_text(before + path.read_text(encoding="utf-8"), encoding="utf-8")
        # What the job's environment has: names in capitals.
        done = subprocess.run(
            ["shellcheck", "--shell=sh", "--exclude=SC2154,SC2153", str(script)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_jobs_are_json_that_chronos_takes() -> None:
    for one in compiled().contracts:
        for job in one.jobs:
            assert json.loads(json.dumps(job)) == job
            assert ("schedule" in job) != ("parents" in job)
            assert all(len(each) == 3 and each[1] in ("EQUALS", "LIKE") for each in job["constraints"])
