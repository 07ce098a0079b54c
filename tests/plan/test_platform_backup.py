"""Where the platform's own state goes, and which nodes read what opens it."""

from __future__ import annotations

from typing import Any

import pytest

from constructs_lib.aws.secrets import secret_source
from constructs_lib.components.model import Role
from constructs_lib.components.platform_backup import SECRETS
from constructs_lib.nodes.cloud_init import check_size, pack
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.model import ClusterSpec
from tests.nodes.clusters import HYBRID, WHOLE, nodes

FIELDS: dict[str, Any] = {
    "backups": {
        "offsite": {
            "repository": "s3:https://s3.example.org/backups",
            "password": "backup/platform",
            "credentials": {"AWS_ACCESS_KEY_ID": "backup/id", "AWS_SECRET_ACCESS_KEY": "backup/key"},
        }
    },
    "app_secrets": {
        "backup/platform": {"pools": [], "made": True},
        "backup/id": {"pools": []},
        "backup/key": {"pools": ["general"]},
    },
    "platform_backup": {"to": "offsite"},
}


def planned(spec: dict[str, Any] = WHOLE, site: str = "eu") -> SitePlan:
    return plan(ClusterSpec.model_validate(spec | FIELDS)).site(site)


def read(site: SitePlan) -> dict[str, set[str]]:
    """Node or pool → the secrets of backups that it reads, with their files."""
    return {
        node.name: {f"{each.name} {each.path} {each.mode:o}" for each in render(site, node).secrets}
        for node in nodes(site)
    }


def test_nodes_that_hold_state_read_the_password_and_no_agent_does() -> None:
    password = f"app_backup_platform {SECRETS}/RESTIC_PASSWORD 600"
    reading = {name for name, secrets in read(planned()).items() if password in secrets}
    assert reading == {"master-1", "master-2", "master-3", "consul-1"}


def test_a_secret_that_agents_have_too_is_one_value_with_two_files() -> None:
    found = read(planned())
    assert f"app_backup_key {SECRETS}/AWS_SECRET_ACCESS_KEY 600" in found["consul-1"]
    assert "app_backup_key /etc/clustermesos/app-secrets/backup/key 444" in found["general"]
    assert not any(secret.startswith("app_backup_") for secret in found["batch"] | found["gateway-1"])


def test_a_site_without_the_pools_reads_them_too() -> None:
    assert f"app_backup_key {SECRETS}/AWS_SECRET_ACCESS_KEY 600" in read(planned(HYBRID, "dc1"))["consul-1"]


def test_the_texts_leave_a_quarter_of_the_tightest_platforms_limit() -> None:
    site = planned()
    for node in nodes(site):
        text = pack(render(site, node), secret_source(site))
        check_size(text, site.late_values, 12 * 1024, node.name)


def test_nodes_that_save_are_let_out_to_the_port_that_the_target_names() -> None:
    def rules(repository: str, **other: Any) -> list[tuple[str, tuple[Role, ...]]]:
        target = FIELDS["backups"]["offsite"] | {"repository": repository}
        spec = ClusterSpec.model_validate(WHOLE | FIELDS | {"backups": {"offsite": target}} | other)
        found = plan(spec).site("eu").egress
        return [(rule.name, rule.roles) for rule in found if rule.name.startswith("platform-backup")]

    both, alerts = (Role.MASTER, Role.CONSUL), {"alertmanagers": ["http://alerts.example.org:9000"]}
    assert rules("s3:https://s3.example.org:9000/x") == [("platform-backup-9000", both)]
    assert rules("rest:http://x.example.org:9000/", nodes=alerts) == [
        ("platform-backup-9000", (Role.MASTER,))
    ]
    assert rules("s3:https://s3.example.org/x") == rules("rest:http://x.example.org:3128/") == []


@pytest.mark.parametrize("role", [Role.MASTER, Role.CONSUL])
def test_without_the_field_nothing_is_on_a_node(role: Role) -> None:
    site = plan(ClusterSpec.model_validate(WHOLE)).site("eu")
    files = render(site, site.nodes_of(role)[0])
    assert not any("platform-backup" in file.path for file in files.files)
    assert not any("platform-backup" in unit for stage in files.stages for unit in stage.units)
    assert "restic" not in files.base_packages
