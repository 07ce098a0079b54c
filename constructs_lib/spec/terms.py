"""What cluster.yaml says to contracts: policies, where backups go, and who may have which secret."""

from __future__ import annotations

from constructs_lib.spec import fields as f
from constructs_lib.spec.group import Group


class PolicySpec(Group):
    """What contracts may ask for, and what they have to have: a strategy for a private or a hybrid cloud."""

    default: f.Switch = False
    """True for the one policy of contracts that name none."""
    placements: tuple[f.Placement, ...] = ("any", "private", "public")
    """Which placements are allowed; the first is that of contracts that don't say."""
    strategies: tuple[f.Strategy, ...] = ("rolling", "blue-green", "canary", "recreate")
    """Which ways to deploy are allowed."""
    require: tuple[f.Requirement, ...] = ()
    """What contracts have to have: backup (where there is state), health, on-call, alerts, or digest: an
    image by its digest.
    """
    cut_off: f.CutOff = "by-state"
    """What happens to instances on agents that are cut off: wait until they are back, or start others
    elsewhere; by-state waits for what keeps data on its agent and starts the rest elsewhere.
    """
    cut_off_seconds: f.CutOffSeconds = 300
    """How long until they are started elsewhere."""


class AppSecretSpec(Group):
    """A secret of applications: a file on the agents of some pools."""

    pools: tuple[f.PoolName, ...]
    """The pools whose agents have it, and whose applications may."""
    made: f.Switch = False
    """True makes a random password of 32 characters where nobody supplies another value."""


class BackupTargetSpec(Group):
    """A place for backups: restic repositories, one for each contract, below one address."""

    repository: f.Repository
    """As restic takes it: s3:https://…, swift:…, rest:https://…, sftp:…, or a folder."""
    password: f.SecretReference
    """The reference in app_secrets of the password that encrypts all; without it nothing is restored."""
    credentials: dict[f.VariableName, f.SecretReference] = {}
    """Variable such as AWS_ACCESS_KEY_ID → reference in app_secrets. A bucket of Amazon's S3 needs none where
    AWS' machines save there: they get rights on their folder in it.
    """
    image: f.Image = "restic/restic:0.18.0"
    """What the jobs run: restic 0.17 or newer."""


class PlatformBackupSpec(Group):
    """Saves the state of Consul, ZooKeeper and the registry from the nodes that hold it, and tests that."""

    to: f.TargetName
    """A target of `backups`, with a password that no agent has: Consul's tokens are in what is saved."""
    keep_daily: f.Snapshots = 14
    """For how many days one snapshot a day is kept."""
    keep_weekly: f.Snapshots = 8
    """For how many weeks one snapshot a week is kept."""


def app_secret_name(reference: str) -> str:
    """What the store and Terraform call a secret of applications: `app_shop_db` for shop/db."""
    return "app_" + reference.replace("/", "_").replace("-", "_")
