"""Who has rights of their own on a backup target that has no credentials, and on what of it."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.components.model import Role
from constructs_lib.plan.model import BackupRight, ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.keyless import BucketFolder, bucket_folder
from constructs_lib.spec.model import ClusterSpec
from tests.plan.clusters import ADMIN

AT = "s3:https://s3.eu-west-3.amazonaws.com"
SITE: dict[str, Any] = {"platform": "aws", "aws": {"region": "eu-west-3"}, "network": "10.20.0.0/16"}
HOME = SITE | {"masters": {"count": 3}, "agents": {"data": {"count": 1}, "general": {"count": 1}}}
FAR = SITE | {"network": "10.30.0.0/16", "agents": {"far": {"count": 1}}}
APPLICATIONS = BackupRight(
    bucket="saved", folder="nightly/demo", roles=(Role.AGENT,), without="nightly/demo/_platform"
)


def planned(repository: str, pools: list[str], *, platform: bool = False, **target: Any) -> ClusterPlan:
    """A cluster of two AWS sites with one target, whose password agents of `pools` have."""
    return plan(
        ClusterSpec.model_validate(
            {
                "name": "demo",
                "admin": ADMIN,
                "sites": {"eu": HOME, "far": FAR},
                "backups": {"offsite": {"repository": repository, "password": "backup/password", **target}},
                "app_secrets": {
                    "backup/password": {"pools": pools},
                    "backup/id": {"pools": ["data"]},
                    "backup/key": {"pools": ["data"]},
                },
                **({"platform_backup": {"to": "offsite"}} if platform else {}),
            }
        )
    )


def test_agents_of_the_home_site_have_the_clusters_folder_but_for_the_platforms_own() -> None:
    found = planned(f"{AT}/saved/nightly/", ["data", "far"])
    assert found.site("eu").backup_rights == (APPLICATIONS,)
    assert found.site("far").backup_rights == (), "backup jobs run at the home site alone"


def test_without_a_folder_the_clusters_own_is_at_the_buckets_top() -> None:
    [right] = planned(f"{AT}/saved", ["data"]).site("eu").backup_rights
    assert (right.bucket, right.folder) == ("saved", "demo")


def test_a_target_whose_password_no_agent_there_has_gives_agents_nothing() -> None:
    for pools in ([], ["far"]):
        found = planned(f"{AT}/saved", pools, platform=pools == [])
        rights = [right for site in found.sites.values() for right in site.backup_rights]
        assert not any(Role.AGENT in right.roles for right in rights)


def test_nodes_that_hold_state_have_their_sites_part_of_the_platforms_folder() -> None:
    found = planned(f"{AT}/saved/nightly", [], platform=True)
    for site in ("eu", "far"):
        [right] = found.site(site).backup_rights
        assert right.folder == f"nightly/demo/_platform/{site}"
        assert (right.roles, right.without) == ((Role.MASTER, Role.CONSUL), None)


def test_who_brings_keys_or_saves_elsewhere_needs_no_rights() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "backup/id", "AWS_SECRET_ACCESS_KEY": "backup/key"}
    assert planned(f"{AT}/saved", ["data"], credentials=keys).site("eu").backup_rights == ()
    assert planned("rest:https://saved.example.org", ["data"]).site("eu").backup_rights == ()


@pytest.mark.parametrize(
    ("repository", "expected"),
    {
        "s3:s3.amazonaws.com/saved": ("saved", "", "aws"),
        "s3://s3.amazonaws.com/saved/x": ("saved", "x", "aws"),
        "s3:https://s3.amazonaws.com:443/saved/x/y/": ("saved", "x/y", "aws"),
        "s3:s3-eu-west-1.amazonaws.com/saved": ("saved", "", "aws"),
        "s3:https://s3.dualstack.ap-southeast-2.amazonaws.com/saved": ("saved", "", "aws"),
        "s3:https://s3-fips.us-gov-west-1.amazonaws.com/saved": ("saved", "", "aws-us-gov"),
        "s3:https://s3.cn-north-1.amazonaws.com.cn/saved": ("saved", "", "aws-cn"),
    }.items(),
)
def test_an_address_is_taken_apart_as_restic_does_it(repository: str, expected: tuple[str, str, str]) -> None:
    assert bucket_folder(repository) == BucketFolder(*expected)


@pytest.mark.parametrize(
    "repository",
    [
        "s3:https://s3.example.org/saved",
        "s3:https://s3.amazonaws.com.example.org/saved",
        "s3:https://saved.s3.amazonaws.com/x",
        "s3:https://s3xamazonaws.com/saved",
        "s3:https://s3.amazonaws.com",
        "s3:https://s3.amazonaws.com/Saved",
        "s3:https://s3.amazonaws.com/saved/*",
        "s3:https://s3.amazonaws.com/saved/${aws:username}",
        "s3:https://s3.amazonaws.com/saved/../other",
        "s3:https://s3.amazonaws.com/saved//x",
        "s3:https://s3.amazonaws.com/saved/x?acl",
        "rest:https://s3.amazonaws.com/saved",
    ],
)
def test_what_is_not_a_plain_folder_at_amazon_is_none(repository: str) -> None:
    assert bucket_folder(repository) is None
