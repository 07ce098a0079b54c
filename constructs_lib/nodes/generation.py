"""A generation: the manifest and files that `clustermesos-apply` takes, at first boot and over SSH alike."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from constructs_lib.errors import RenderError
from constructs_lib.nodes.bare_python import shipped
from constructs_lib.nodes.model import NodeFile, NodeFiles, NodePackages, NodeSecret

INCOMING = "/var/lib/clustermesos/incoming"
"""Where the next generation is put: manifest.json, and files/ with each file below its path."""
DATA_MOUNT = "/srv/data"
"""Where a node's data volume is mounted; components put their `state` below it."""
MANIFEST_FORMAT = 1
ONE_WORD = ("password", "gossip_key", "token", "supplied")
"""Kinds of secrets that whoever reads the file takes as they are, such as one word."""


@dataclass(frozen=True)
class SecretSource:
    """How this platform's nodes get a secret.

    `command` is run with the secret's name as its last argument and prints the value; `files` are what it
    needs on the node, `packages` come from the distribution. `carried` is, on a platform whose user data has
    no room for it, path → text of what travels beside it, `constructs_lib.nodes.carried`; `bundle` is a shell
    command that prints that bundled on a machine that has only user data.
    """

    command: str
    files: tuple[NodeFile, ...] = ()
    packages: tuple[str, ...] = ()
    carried: Mapping[str, str] = field(default_factory=dict)
    bundle: str = ""
    renewal: str = "cdktf deploy brings the new one there"
    """How another value of a secret gets to where `command` finds it."""
    comes_with_machine: bool = False
    """Whether a machine only ever has the secrets that it was made with."""


def incoming(files: NodeFiles, source: SecretSource) -> tuple[NodeFile, ...]:
    """The files below INCOMING, manifest last: while it is missing, the generation is not complete."""
    contents = [
        NodeFile(path=f"{INCOMING}/files{file.path}", content=shipped(file.path, file.content), mode=0o600)
        for file in (*files.files, *source.files)
    ]
    text = _pretty(manifest(files, source))
    return (*contents, NodeFile(path=f"{INCOMING}/manifest.json", content=text, mode=0o600))


def manifest(files: NodeFiles, source: SecretSource) -> dict[str, object]:
    """What `clustermesos-apply` has to know besides the files' contents. Holds late markers, no secret."""
    paths = [file.path for file in (*files.files, *source.files)]
    for path in paths:
        if paths.count(path) > 1:
            raise RenderError(f"{path}: the secret source puts a file where a component has one")
    volume = {"id": files.data_volume.marker, "mount": DATA_MOUNT} if files.data_volume else None
    packages = list(dict.fromkeys((*files.base_packages, *source.packages)))
    return {
        "format": MANIFEST_FORMAT,
        "users": [{"name": user.name, "uid": user.uid} for user in files.users],
        "proxy": files.proxy,
        "packages": [{"names": packages}, *(_packages(packages) for packages in files.packages)],
        "volume": volume,
        "directories": [
            {"path": d.path, "mode": f"{d.mode:o}", "owner": _owner(d.owner, d.group)}
            for d in files.directories
        ],
        "secret_command": source.command,
        "secrets": [_secret(secret) for secret in files.secrets],
        # What fetching secrets needs is in place before they are fetched.
        "files": [_file(file) | {"first": True} for file in source.files]
        + [_file(file) for file in files.files],
        "boot_units": list(files.boot_units),
        "stages": [
            {
                "component": stage.component,
                "units": list(stage.units),
                "seconds": stage.ready_within,
                "checks": list(stage.checks),
            }
            for stage in files.stages
        ],
    }


def _file(file: NodeFile) -> dict[str, object]:
    """The file's entry; what it leaves out is 0644, root's, and restarts nothing."""
    owner = _owner(file.owner, file.group)
    # One that the file does not have is never taken over without a restart.
    live = [key for key in file.live_keys if json.dumps(key) in file.content]
    return {
        "path": file.path,
        **({} if file.mode == 0o644 else {"mode": f"{file.mode:o}"}),
        **({} if owner == "root" else {"owner": owner}),
        **_units(file),
        **({"live": live} if live else {}),
    }


def _owner(user: str, group: str) -> str:
    return user if user == group else f"{user}:{group}"


def _secret(secret: NodeSecret) -> dict[str, object]:
    # OpenSSH refuses a private key whose last line has no end; one word must not have one.
    return {
        "name": secret.name,
        "path": secret.path,
        **({} if secret.owner == "root" else {"owner": secret.owner}),
        **({} if secret.kind in ONE_WORD else {"newline": True}),
        **({} if secret.mode == 0o600 else {"mode": f"{secret.mode:o}"}),
        **_units(secret),
    }


def _units(file: NodeFile | NodeSecret) -> dict[str, str]:
    wanted = {"restarts": file.restarts, "reloads": file.reloads}
    return {key: unit for key, unit in wanted.items() if unit}


def _packages(packages: NodePackages) -> dict[str, object]:
    repository = packages.repository
    version = {"version": packages.version} if packages.version else {}
    where = {"repository": dataclasses.asdict(repository)} if repository else {}
    held = {"hold": True} if packages.held and not packages.version else {}
    return {"component": packages.source, "names": list(packages.names), **version, **held, **where}


def _pretty(data: Mapping[str, object]) -> str:
    """JSON with one line per entry of a list: short enough for user data, and a person can still read it."""
    return "{\n" + ",\n".join(_entries(data)) + "\n}\n"


def _entries(data: Mapping[str, object]) -> Iterator[str]:
    for key, value in data.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            lines = ",\n".join(f"    {json.dumps(item, ensure_ascii=False)}" for item in value)
            yield f"  {json.dumps(key)}: [\n{lines}\n  ]"
        else:
            yield f"  {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}"
