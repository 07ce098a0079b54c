"""What cluster.yaml says to contracts fits together: policies, backup targets, and secrets by pool."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from constructs_lib.spec.findings import Check, Finding, Path, Settings
from constructs_lib.spec.terms import app_secret_name
from constructs_lib.spec.wording import did_you_mean, one_of

if TYPE_CHECKING:
    from constructs_lib.spec.model import ClusterSpec


def _policies(settings: Settings) -> Iterator[Finding]:
    if not settings.intact("policies"):
        return
    policies = settings.cluster.policies
    defaults = [name for name, policy in policies.items() if policy.default]
    for name in defaults[1:]:
        yield Finding(
            ("policies", name, "default"),
            f"got true, which {defaults[0]} says too, expected one policy for contracts that name none",
        )
    for name, policy in policies.items():
        for word in ("placements", "strategies", "require"):
            given: tuple[str, ...] = getattr(policy, word)
            if not given and word != "require":
                yield Finding(
                    ("policies", name, word),
                    "allows nothing, so that no contract keeps it: name one at least",
                )
            for index, each in enumerate(given):
                if each in given[:index]:
                    yield Finding(("policies", name, word, index), f"got {each} twice, expected it once")
        if policy.cut_off == "wait" and "cut_off_seconds" in policy.model_fields_set:
            yield Finding(
                ("policies", name, "cut_off_seconds"),
                "got seconds for `cut_off: wait`, which waits until they are back",
            )


def _app_secrets(settings: Settings) -> Iterator[Finding]:
    cluster = settings.cluster
    if not settings.intact("app_secrets") or not settings.intact("sites"):
        return
    pools = {pool for site in cluster.sites.values() for pool in site.agents}
    names: dict[str, str] = {}
    for reference, secret in cluster.app_secrets.items():
        named = secret.pools
        path: Path = ("app_secrets", reference, "pools")
        first = names.setdefault(app_secret_name(reference), reference)
        if first != reference:
            yield Finding(
                ("app_secrets", reference),
                f"is {app_secret_name(reference)} in the store, as {first} is: rename one",
            )
        if not named and reference not in _of_the_platform(cluster):
            yield Finding(path, "is for no pool, expected those whose agents have it: [general]")
        for index, pool in enumerate(named):
            if pool not in pools:
                near = did_you_mean(pool, pools)
                hint = f"did you mean {near}?" if near else f"expected {one_of(sorted(pools))}"
                yield Finding((*path, index), f"got {pool}, which no site has; {hint}")
            elif pool in named[:index]:
                yield Finding((*path, index), f"got {pool} twice, expected every pool once")


def _backups(settings: Settings) -> Iterator[Finding]:
    cluster = settings.cluster
    if not settings.intact("backups") or not settings.intact("app_secrets"):
        return
    for name, target in cluster.backups.items():
        named = {("password",): target.password} | {
            ("credentials", variable): reference for variable, reference in target.credentials.items()
        }
        for where, reference in named.items():
            if reference not in cluster.app_secrets:
                near = did_you_mean(reference, cluster.app_secrets)
                hint = (
                    f"did you mean {near}?"
                    if near
                    else f"expected `app_secrets: {{{reference}: {{pools: [POOL]}}}}`"
                )
                yield Finding(
                    ("backups", name, *where), f"refers to {reference}, which app_secrets don't have; {hint}"
                )


def _of_the_platform(cluster: ClusterSpec) -> tuple[str, ...]:
    """The secrets that the platform's own backups need: no pool has to have them."""
    wanted = cluster.platform_backup
    if wanted is None:
        return ()
    named = cluster.backups.get(wanted.to)
    # An unknown target is an error of its own: any of them may be meant.
    targets = [named] if named else list(cluster.backups.values())
    return tuple(name for each in targets for name in (each.password, *each.credentials.values()))


def _platform_backup(settings: Settings) -> Iterator[Finding]:
    cluster = settings.cluster
    wanted = cluster.platform_backup
    names = ("platform_backup", "backups", "app_secrets")
    if wanted is None or not all(settings.intact(name) for name in names):
        return
    path: Path = ("platform_backup", "to")
    target = cluster.backups.get(wanted.to)
    if target is None:
        near = did_you_mean(wanted.to, cluster.backups)
        hint = f"did you mean {near}?" if near else "expected the name of one of them"
        yield Finding(path, f"got {wanted.to}, which backups don't have; {hint}")
        return
    if target.repository.startswith(("/", "sftp:", "rclone:")):
        yield Finding(
            path,
            f"got {wanted.to}, which is {target.repository}: a folder is lost with its node, and nodes have "
            "no key or settings for sftp and rclone; expected a target such as s3:https://… or rest:https://…",
        )
    secret = cluster.app_secrets.get(target.password)
    if secret and secret.pools:
        yield Finding(
            path,
            f"got {wanted.to}, whose password {target.password} agents of {', '.join(secret.pools)} have: it "
            "opens Consul's tokens there; expected a target whose password no pool has: "
            "`app_secrets: {backup/platform: {pools: []}}`",
        )


CHECKS: tuple[Check, ...] = (_policies, _app_secrets, _backups, _platform_backup)
