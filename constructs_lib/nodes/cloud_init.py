"""pack(): one node's files as the cloud-config of its first boot, readable and measured."""

from __future__ import annotations

import copy
import gzip
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

import yaml
from yaml.emitter import ScalarAnalysis

from constructs_lib.errors import RenderError, UserDataError
from constructs_lib.nodes.arrival import APPLY, PROGRAM, arrival
from constructs_lib.nodes.bare_python import PYTHON, SHELL
from constructs_lib.nodes.generation import INCOMING, SecretSource, incoming
from constructs_lib.nodes.late import with_samples
from constructs_lib.nodes.model import NodeFile, NodeFiles
from constructs_lib.plan.model import LateValue

__all__ = ["APPLY", "PROGRAM", "SecretSource", "check_size", "gzip_size", "pack"]

UNIT = "/etc/systemd/system/clustermesos-apply.service"
_PLAIN_PATH = re.compile(r"/[A-Za-z0-9_./-]+")
_OCTAL = re.compile(r"0[0-7]{3}")
LINE_BREAKS_TO_YAML = frozenset("\r\x85\u2028\u2029")


def pack(files: NodeFiles, source: SecretSource) -> str:
    """`#cloud-config` for the node's first boot; may hold late markers, holds no secret.

    The operator's `cloud_config` of the role is merged after ours: lists are appended, mappings merged,
    anything else replaced.
    """
    config = _merge(_config(files, source), files.cloud_config)
    what = f"{files.role} {files.name}" if files.hostname else f"agents of pool {files.name}"
    title = (
        f"# {what}, cluster {files.cluster}, site {files.site}; written by clustermesos from cluster.yaml\n"
    )
    return f"#cloud-config\n{title}{_dump(config)}"


def gzip_size(text: str) -> int:
    """Bytes of `text` compressed, at most: Terraform's gzip (Go) is up to 1 % larger than this one (zlib)."""
    measured = len(gzip.compress(text.encode(), compresslevel=6, mtime=0))
    return measured + measured // 100 + 64


def check_size(text: str, late_values: Iterable[LateValue], limit: int, who: str) -> int:
    """The compressed size of `text` in bytes, late values at their longest; UserDataError when over `limit`.

    `who` names the node in the error, which lists the biggest files.
    """
    filled = with_samples(text, late_values)
    size = gzip_size(filled)
    if size > limit:
        raise UserDataError(
            f"user data of {who}: {size:,} bytes compressed, but the platform takes at most {limit:,}; "
            f"biggest: {_biggest(filled)}",
            over=size - limit,
        )
    return size


def _config(files: NodeFiles, source: SecretSource) -> dict[str, object]:
    elsewhere = {f"{INCOMING}/files{path}" for path in source.carried}
    return {
        **_names(files),
        "users": [
            {
                "name": files.admin_user,
                "groups": ["adm", "sudo"],
                "shell": "/bin/bash",
                "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": True,
                "ssh_authorized_keys": list(files.ssh_keys),
            }
        ],
        "disable_root": True,
        "ssh_pwauth": False,
        **_apt(files),
        "write_files": [
            _write_file(file)
            for file in (*arrival(files, source), *_alike_together(incoming(files, source)))
            if file.path not in elsewhere
        ],
        "bootcmd": [_BEGIN_AGAIN],
        # Without -e a failing line would not show in `cloud-init status` unless it is the last one.
        "runcmd": ["set -e", *_healing(source), _ATTEMPT],
    }


_ATTEMPT = f"{PROGRAM} first-boot || {{ systemctl start --no-block {UNIT.rpartition('/')[2]}; exit 1; }}"
"""cloud-init waits for this first attempt and tells how it ended; the unit makes the further ones."""


_ENABLED = f"/etc/systemd/system/multi-user.target.wants/{UNIT.rpartition('/')[2]}"
_WANTED = f"{INCOMING.rpartition('/')[0]}/wanted"
_BEGIN_AGAIN = f"test -s {_ENABLED} || test -L {_WANTED} || rm -f /var/lib/cloud/instance/sem/config_*"
"""Run at every boot: cloud-init marks a module as done before it runs it, so a power cut before our commands
would leave a node without a way to go on. A node that was applied to is never begun again, whoever disabled
its unit: user data knows nothing of what `nodes apply` brought."""


def _healing(source: SecretSource) -> list[str]:
    """cloud-init runs commands once in a machine's life: from here on the unit tries, also after reboots."""
    placed = [] if source.carried else [f"install -m 755 {APPLY} {PROGRAM}"]
    unit = f"install -m 644 {INCOMING}/files{UNIT} {UNIT}"
    # Written out before and after: an enabled unit tells the next boot that nothing is missing.
    enabled = f"systemctl enable --no-reload {UNIT.rpartition('/')[2]}"
    return [*placed, unit, "sync", enabled, "sync"]


def _alike_together(generation: Sequence[NodeFile]) -> list[NodeFile]:
    """What has the same words stands together, since gzip looks back 32 KB alone; the manifest stays last."""
    *contents, manifest = generation
    return [*sorted(contents, key=lambda file: (_kind(file), file.path)), manifest]


def _kind(file: NodeFile) -> int:
    if file.path.startswith(f"{INCOMING}/files/etc/systemd/system/"):
        return 3
    return 0 if file.content.startswith(PYTHON) else 2 if file.content.startswith(SHELL) else 1


def _names(files: NodeFiles) -> dict[str, object]:
    # cloud-init's own hosts file maps the node's name to 127.0.1.1, which masters would then announce.
    if files.hostname is None:
        return {"manage_etc_hosts": False}
    return {"hostname": files.hostname, "prefer_fqdn_over_hostname": False, "manage_etc_hosts": False}


def _apt(files: NodeFiles) -> dict[str, object]:
    settings: dict[str, object] = {}
    # Without a mirror for security cloud-init takes the other one for it.
    for kind, mirror in (("primary", files.apt_mirror), ("security", files.apt_security_mirror)):
        if mirror:
            settings[kind] = [{"arches": ["default"], "uri": mirror}]
    if files.proxy:
        settings |= {"http_proxy": files.proxy, "https_proxy": files.proxy}
    return {"apt": settings} if settings else {}


def _write_file(file: NodeFile) -> dict[str, object]:
    try:
        file.content.encode()
    except UnicodeEncodeError as error:
        raise RenderError(f"{file.path}: its content is not text: {error}") from None
    if "\0" in file.content:
        raise RenderError(f"{file.path}: its content holds a NUL character, which is not text")
    return {"path": file.path, "permissions": f"{file.mode:04o}", "content": file.content}


def _merge(ours: Mapping[str, object], theirs: Mapping[str, object]) -> dict[str, object]:
    merged = dict(ours)
    for key, value in theirs.items():
        mine = merged.get(key)
        if isinstance(mine, Mapping) and isinstance(value, Mapping):
            merged[key] = _merge(mine, value)
        elif isinstance(mine, list) and isinstance(value, list):
            merged[key] = [*mine, *copy.deepcopy(value)]
        else:
            merged[key] = copy.deepcopy(value)
    return merged


def _dump(config: Mapping[str, object]) -> str:
    """The config as YAML, section by section, so that what nodes have in common is dumped once."""
    return "".join(_section(key, value) for key, value in config.items())


def _section(key: str, value: object) -> str:
    if key != "write_files" or not isinstance(value, list) or not value:
        return _dumped(key, _Plain(value))
    return "write_files:\n" + "".join(_item(entry) for entry in value)


def _item(entry: object) -> str:
    """One item of `write_files`; an operator's may have other keys."""
    if isinstance(entry, Mapping) and entry.keys() == {"path", "permissions", "content"}:
        path, permissions, content = entry["path"], entry["permissions"], entry["content"]
        if isinstance(path, str) and isinstance(permissions, str) and isinstance(content, str):
            return _written(path, permissions, content)
    return _yaml({"write_files": [entry]}).removeprefix("write_files:\n")


class _Plain:
    """A value to dump; equal to what is written alike, since plain data has one representation."""

    def __init__(self, value: object) -> None:
        self.value, self.text = value, repr(value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Plain) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


@lru_cache(maxsize=512)
def _dumped(key: str, plain: _Plain) -> str:
    return _yaml({key: plain.value})


@lru_cache(maxsize=512)
def _written(path: str, permissions: str, content: str) -> str:
    if _PLAIN_PATH.fullmatch(path) and _OCTAL.fullmatch(permissions) and _simple_block(content):
        # As the emitter writes it, which takes 0.1 s for the files of seven nodes.
        lines = "".join(f"    {line}\n" if line else "\n" for line in content[:-1].split("\n"))
        return f"- path: {path}\n  permissions: '{permissions}'\n  content: |\n{lines}"
    entry = {"path": path, "permissions": permissions, "content": content}
    return _yaml({"write_files": [entry]}).removeprefix("write_files:\n")


def _yaml(value: object) -> str:
    text: str = yaml.dump(
        value,
        Dumper=_ReadableDumper,
        sort_keys=False,
        allow_unicode=True,
        width=2**31,
        default_flow_style=False,
    )
    # A text that ends with empty lines closes a document with this mark; here more of it follows.
    return text.removesuffix("...\n") if text.endswith("\n...\n") else text


def _biggest(text: str) -> str:
    written = yaml.safe_load(text).get("write_files", [])
    sizes = {entry["path"]: len(gzip.compress(entry["content"].encode(), 6)) for entry in written}
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:4]
    return ", ".join(f"{path.removeprefix(INCOMING)} ({size:,})" for path, size in largest)


class _ReadableDumper(yaml.SafeDumper):
    """Text of several lines as a block, anything that a block can't carry byte for byte quoted."""

    def ignore_aliases(self, data: object) -> bool:
        """An anchor would make the reader jump."""
        return True

    def analyze_scalar(self, scalar: str) -> ScalarAnalysis:
        """As the emitter says, without its look at each character: 0.1 s for the files of seven nodes."""
        if not _simple_block(scalar):
            return super().analyze_scalar(scalar)
        return ScalarAnalysis(scalar, False, True, False, False, True, True, True)

    def write_literal(self, text: str) -> None:
        """As the emitter writes it, by lines instead of by characters."""
        if not _simple_block(text):
            super().write_literal(text)
            return
        self.write_indicator("|", True)
        self.write_line_break()
        indent = " " * (self.indent or 0)
        lines = text[:-1].split("\n")
        self.stream.write("".join(f"{indent}{line}\n" if line else "\n" for line in lines))
        self.line += len(lines)
        self.column, self.whitespace, self.indention = 0, True, True


def _simple_block(text: str) -> bool:
    """Whether text is what most files are: lines of printable ASCII, of which none ends with a space, the
    first begins with none, and the last is neither empty nor without its end.
    """
    return (
        text[-1:] == "\n"
        and text[-2:-1] not in ("", "\n")
        and text[0] not in " \n"
        and " \n" not in text
        and text.isascii()
        and text.replace("\n", "").isprintable()
    )


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    if LINE_BREAKS_TO_YAML.intersection(text):
        # YAML reads these as ends of lines and turns them into other ones, unless they are escaped.
        style = '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_ReadableDumper.add_representer(str, _text)
