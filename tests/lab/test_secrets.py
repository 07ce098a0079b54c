"""Every secret file of every booted machine: whose it is, and that its value is nowhere else to be read."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from constructs_lib.components.consul import AUTHORITY
from constructs_lib.components.model import Role, Secret
from constructs_lib.lab.keeper import KeptLab
from constructs_lib.lab.overrides import OVERRIDES_FILE, read_overrides
from constructs_lib.plan.lock import read_lock
from constructs_lib.plan.model import SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace
from tests.lab.asking import says
from tests.lab.telling import (
    PUBLIC,
    files_with_one,
    lines_of,
    search,
    telling,
    told_elsewhere,
    values_of,
)

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.lab]


@dataclass(frozen=True)
class OnNode:
    """A secret on a node of some role."""

    name: str
    file: Secret


@pytest.fixture(scope="session")
def planned(workspace: Workspace) -> SitePlan:
    spec = read_overrides(OVERRIDES_FILE).apply(load(workspace.cluster_file))
    return plan(spec, read_lock(workspace.lock_file)).site("eu")


def secrets_on(planned: SitePlan, role: Role) -> list[OnNode]:
    """Every secret file of a role, as its component declares it."""
    return [
        OnNode(secret.name, declared)
        for secret in planned.secrets_of(role)
        for declared in (secret.declared, *secret.also)
        if role in declared.roles
    ]


def test_a_secret_is_found_again_by_lines_that_only_it_has() -> None:
    pem = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\nabc\n-----END PRIVATE KEY-----\n"

    assert telling(pem + pem.replace("PRIVATE KEY", "CERTIFICATE")) == ["MIGHAgEAMBMGByqGSM49"]
    assert telling("a-password-of-the-cluster") == ["a-password-of-the-cluster"]


def test_every_role_has_its_secret_files_of_its_owner_for_nobody_else(
    lab: KeptLab, planned: SitePlan
) -> None:
    for name in lab.names():
        wanted = {
            (one.file.to, oct(one.file.mode)[2:], one.file.owner)
            for one in secrets_on(planned, Role(lab.identity(name).role))
        }
        assert wanted, name
        said = says(lab, name, "stat", "-L", "-c", "%n %a %U", *sorted(path for path, *_ in wanted))
        assert {tuple(line.split()) for line in said.splitlines()} == wanted, name
        kinds = {one.file.kind: one.file.mode for one in secrets_on(planned, Role(lab.identity(name).role))}
        assert {mode for kind, mode in kinds.items() if kind != PUBLIC} <= {0o600}, name


def test_no_secret_is_in_a_file_a_log_a_command_line_or_user_data_that_others_read(
    lab: KeptLab, planned: SitePlan, workspace: Workspace
) -> None:
    values = values_of(workspace)
    # The authority's own key is among them, which no node has at all.
    assert AUTHORITY in values.keys() - {secret.name for secret in planned.secrets}
    lines = lines_of(values, planned)
    assert len(lines) >= len(values) - 1
    for name in lab.names():
        with search(lab, name, lines):
            assert told_elsewhere(lab, name) == [], name
            # The control: the search finds what is there.
            assert set(files_with_one(lab, name, "u")) >= {
                one.file.to
                for one in secrets_on(planned, Role(lab.identity(name).role))
                if one.file.kind != PUBLIC and not one.file.to.startswith("/run/")
            }, name
