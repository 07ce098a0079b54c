"""A contract's Chronos jobs: dump, backup and restore test for each node with data, forget and check for all.

Source: Chronos 3.0's `Jobs.scala` and `Containers.scala`. `epsilon` is read by 2.x alone. Chronos shows a
job's environment to all, so there is no secret in it: files of the agent are mounted, and read on the way to
restic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from constructs_lib.contracts import paths
from constructs_lib.contracts.model import AppContract
from constructs_lib.contracts.ops import BackupSpec, KeepSpec
from constructs_lib.contracts.placement import eligible
from constructs_lib.contracts.schedule import repeating
from constructs_lib.contracts.targets import repository, target_of
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.spec.terms import BackupTargetSpec

Job = dict[str, Any]
_SAVED, _DUMP, _NOTE, _METRICS, _SCRATCH = "/data", "/dump", "/tmp/note", "/metrics", "/scratch"  # noqa: S108
FORGET, CHECK = "daily", "weekly"
"""How often old snapshots are forgotten, and the repository looked at."""


@dataclass(frozen=True, kw_only=True)
class _Backup:
    """Everything that the jobs of one node share."""

    contract: AppContract
    plan: ClusterPlan
    spec: BackupSpec
    target: BackupTargetSpec
    node: str | None
    """The agent's address where there are several, and each has its own data."""

    def name(self, word: str) -> str:
        """`db.backup`, or `db.backup.10-20-16-4`."""
        return ".".join([self.contract.name, word, *([self.node.replace(".", "-")] if self.node else [])])

    @property
    def folder(self) -> str:
        """The volume on the agent."""
        volume = self.contract.dev.volumes[self.spec.volume]
        return paths.volume(self.contract.name, self.spec.volume, volume.kind)

    @property
    def what(self) -> str:
        """volume, dump or both."""
        return self.spec.what or ("dump" if self.spec.before else "volume")

    @property
    def saved(self) -> list[str]:
        """What is saved, as the container sees it."""
        return {"volume": [_SAVED], "dump": [_DUMP], "both": [_SAVED, _DUMP]}[self.what]

    @property
    def saved_host(self) -> str:
        """What restic calls the machine: the contract, unless each node has its own data."""
        return self.node or self.contract.name


def jobs(contract: AppContract, plan: ClusterPlan) -> tuple[Job, ...]:
    """All jobs, parents before those that run after them; none without a backup."""
    found = enumerate(_backups(contract, plan))
    return tuple(job for number, backup in found for job in _of_node(backup, first=number == 0))


def _backups(contract: AppContract, plan: ClusterPlan) -> Iterator[_Backup]:
    """One for each node that has data of its own."""
    found = target_of(contract, plan)
    if contract.ops.backup is None or found is None:
        return
    nodes: list[str | None] = [str(each) for each in contract.ops.nodes] or [None]
    for node in nodes:
        yield _Backup(contract=contract, plan=plan, spec=contract.ops.backup, target=found[1], node=node)


def restores(contract: AppContract, plan: ClusterPlan) -> tuple[Job, ...]:
    """What puts a snapshot back, for each node that has data: started by hand, and so without a schedule.

    `SNAPSHOT` in its environment says which one, `latest` as it is. With `ONLY` there it is `find`, which
    changes nothing, or `undo`, of a run that did not end. A dump that has a way to be loaded has a second job
    that does.
    """
    return tuple(job for backup in _backups(contract, plan) for job in _restores(backup))


def stops_to_restore(contract: AppContract, plan: ClusterPlan) -> bool:
    """Whether what is put back is a volume that the application uses."""
    return any(_SAVED in backup.saved for backup in _backups(contract, plan))


def _restores(backup: _Backup) -> Iterator[Job]:
    source = [paths.mount(backup.folder, _SAVED, write=True)] if _SAVED in backup.saved else []
    dumped = [paths.mount(f"{backup.folder}.dump", _DUMP, write=True)] if _DUMP in backup.saved else []
    own = {"SAVED": " ".join(backup.saved), "SNAPSHOT": "latest", "ONLY": "", **_verification(backup)}
    yield _restic(backup, "restore", own, [*source, *dumped])
    if backup.spec.before and backup.spec.before.load:
        yield _own_image(backup, "load", backup.spec.before.load, write=False)


def _of_node(backup: _Backup, *, first: bool) -> Iterator[Job]:
    spec, schedule = backup.spec, {"schedule": _schedule(backup, "backup", backup.spec.schedule)}
    when: dict[str, Any] = schedule
    if spec.before:
        yield _dump(backup) | schedule
        when = {"parents": [backup.name("dump")]}
    source = [paths.mount(backup.folder, _SAVED)] if _SAVED in backup.saved else []
    source += [paths.mount(f"{backup.folder}.dump", _DUMP)] if _DUMP in backup.saved else []
    yield _restic(backup, "backup", {"SAVED": " ".join(backup.saved), "NOTE": _NOTE}, source) | when
    scratch = [paths.mount(f"{paths.SCRATCH}/{backup.contract.name}", _SCRATCH, write=True)]
    yield _restic(backup, "restore-test", _verification(backup), scratch) | {
        "schedule": _schedule(backup, "restore-test", spec.restore_test)
    }
    # The repository is the contract's: these two see to all its nodes.
    if first:
        yield _restic(backup, "forget", {"KEEP": keep_options(spec.keep)}, []) | {
            "schedule": _schedule(backup, "forget", FORGET)
        }
        yield _restic(backup, "check", {}, []) | {"schedule": _schedule(backup, "check", CHECK)}


def _verification(backup: _Backup) -> dict[str, str]:
    where = backup.saved[0] if len(backup.saved) == 1 else ""
    return {"SCRATCH": _SCRATCH, "NOTE": _NOTE, "VERIFY": backup.spec.verify or "", "VERIFY_IN": where}


def keep_options(keep: KeepSpec) -> str:
    """`--keep-daily 7 --keep-weekly 4`."""
    return " ".join(f"--keep-{word} {number}" for word, number in keep.model_dump().items() if number)


def _schedule(backup: _Backup, word: str, schedule: str) -> str:
    return repeating(schedule, backup.name(word))


def _dump(backup: _Backup) -> Job:
    assert backup.spec.before is not None
    return _own_image(backup, "dump", backup.spec.before.command, write=True)


def _own_image(backup: _Backup, word: str, command: str, *, write: bool) -> Job:
    """A job in the application's own image, which has the program that dumps and loads."""
    dev, before = backup.contract.dev, backup.spec.before
    assert before is not None
    environment = {
        **dev.env,
        **paths.secret_environment(dev.secrets),
        "COMMAND": command,
        "DUMP": _DUMP,
        "FILE": before.file,
    }
    volumes = [
        paths.mount(f"{backup.folder}.dump", _DUMP, write=write),
        paths.mount(backup.folder, _SAVED),
        *paths.secret_mounts(dev.secrets),
    ]
    image = before.image or dev.image or ""
    job = _job(backup, word, image, _script(f"{word}.sh"), environment, volumes)
    # Whoever the image runs as: the dump is for root alone.
    job["container"]["parameters"] = [{"key": "user", "value": "0"}]
    return job


def _restic(backup: _Backup, word: str, own: Mapping[str, str], volumes: list[dict[str, str]]) -> Job:
    secrets = {"RESTIC_PASSWORD": backup.target.password, **backup.target.credentials}
    environment = {
        "CONTRACT": backup.contract.name,
        "CREDENTIALS": " ".join(sorted(backup.target.credentials)),
        "METRICS": _METRICS,
        "RESTIC_PASSWORD_FILE": f"{paths.IN_CONTAINER}/RESTIC_PASSWORD",
        "RESTIC_REPOSITORY": repository(backup.contract, backup.target, backup.plan.name),
        "SAVED_HOST": backup.saved_host,
        "SECRETS": paths.IN_CONTAINER,
        "VOLUME": backup.spec.volume,
        **own,
    }
    mounts = [
        *volumes,
        paths.mount(paths.METRICS, _METRICS, write=True),
        *paths.secret_mounts(secrets),
        *_folder_repository(backup.target),
    ]
    prefix = backup.plan.sites[_home(backup.plan)].software_mirrors.image_prefix
    image = f"{prefix.rstrip('/')}/{backup.target.image}" if prefix else backup.target.image
    script = (
        _script("common.sh") + (_script("compare.sh") if "restore" in word else "") + _script(f"{word}.sh")
    )
    return _job(backup, word, image, script, environment, mounts)


def _folder_repository(target: BackupTargetSpec) -> list[dict[str, str]]:
    """A repository in a folder is one of the agents', such as one on their shared file system."""
    folder = target.repository
    return [paths.mount(folder, folder, write=True)] if folder.startswith("/") else []


def _job(
    backup: _Backup,
    word: str,
    image: str,
    script: str,
    environment: Mapping[str, str],
    volumes: list[dict[str, str]],
) -> Job:
    name = backup.name(word)
    return {
        "name": name,
        "description": f"{word} of {backup.contract.name}'s volume {backup.spec.volume}",
        "owner": f"clustermesos:{backup.plan.name}",
        "ownerName": backup.contract.owner,
        "command": script,
        "shell": True,
        "scheduleTimeZone": "UTC",
        "epsilon": "PT30M",
        "retries": 2,
        "concurrent": False,
        "disabled": False,
        "highPriority": False,
        "cpus": 0.25,
        "mem": 512,
        "disk": 0,
        "constraints": _constraints(backup),
        "environmentVariables": [
            {"name": key, "value": value} for key, value in sorted({**environment, "JOB": name}.items())
        ],
        "container": {
            "type": "DOCKER",
            "image": image,
            "network": "HOST",
            "forcePullImage": False,
            "volumes": volumes,
        },
    }


def _constraints(backup: _Backup) -> list[list[str]]:
    """Where the data is. Chronos is offered agents of the home site alone, so there is no region to say."""
    if backup.node:
        return [["hostname", "EQUALS", backup.node]]
    home = _home(backup.plan)
    pools = sorted(
        {spot.pool.name for spot in eligible(backup.contract, backup.plan) if spot.site.name == home}
    )
    return [["pool", "EQUALS", pools[0]]] if len(pools) == 1 else [["pool", "LIKE", "|".join(pools)]]


def _home(plan: ClusterPlan) -> str:
    return next(iter(plan.sites.values())).home


@cache
def _script(name: str) -> str:
    """A script without the comments that are for its readers here."""
    text = files("constructs_lib.contracts").joinpath("scripts", name).read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
