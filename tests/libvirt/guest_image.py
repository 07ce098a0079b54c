"""A Debian 12 that boots on a BIOS, much as the clouds' image: built once, kept in the user's cache.

What our node files would install is there already, since a guest of these tests has no way out.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from constructs_lib.components import COMPONENTS
from constructs_lib.lab.image import ARCHIVE, OPTIONS, OWN_SOURCES, SUITE
from constructs_lib.spec.workspace import cache_folder
from tests.conftest import need

BUILD_SECONDS = 1800
SCRIPT = Path(__file__).with_name("guest_image.sh")
PROGRAMS = ("mmdebstrap", "sfdisk", "mkfs.ext4", "mount", "extlinux", "qemu-img")
CLOUD_IMAGE = (
    "linux-image-cloud-amd64",
    "systemd-sysv",
    "udev",
    "dbus",
    "libpam-systemd",
    "cloud-init",
    "cloud-guest-utils",
    "fdisk",
    "e2fsprogs",
    "netplan.io",
    "systemd-resolved",
    "iproute2",
    "netbase",
    "locales",
    "openssh-server",
    "sudo",
    "procps",
    "kmod",
    "ca-certificates",
)
OF_NODES = (
    "chrony",
    "nftables",
    "iptables",
    "python3",
    "unattended-upgrades",
    "prometheus-node-exporter",
    "curl",
    "gpg",
    "apache2-utils",
    "docker.io",
    "docker-registry",
    "prometheus",
)
"""What a gateway's and a Consul node's components install from Debian."""

ACCOUNT = "prometheus"
"""On a cloud the node makes it before the package comes, with the number of the files on the volume."""


def guest_image(programs: Mapping[str, Path]) -> tuple[Path, str]:
    """The image, with `programs` at those paths in it, and its checksum (minutes to build, 2 GB of room)."""
    for program in PROGRAMS:
        need(program)
    folder = cache_folder() / "guest-images"
    folder.mkdir(parents=True, exist_ok=True)
    image = folder / f"{_key(programs)}.qcow2"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.exists():
            for former in folder.glob("*.qcow2*"):
                former.unlink()
            _build(image, programs)
    with image.open("rb") as file:
        return image, hashlib.file_digest(file, "sha256").hexdigest()


def _key(programs: Mapping[str, Path]) -> str:
    words = (SUITE, *OPTIONS, _account(), *CLOUD_IMAGE, *OF_NODES)
    digest = hashlib.sha256("\0".join(words).encode())
    digest.update(SCRIPT.read_bytes())
    for inside, path in sorted(programs.items()):
        digest.update(inside.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _build(image: Path, programs: Mapping[str, Path]) -> None:
    sources = OWN_SOURCES if OWN_SOURCES.exists() and SUITE in OWN_SOURCES.read_text() else ARCHIVE
    with tempfile.TemporaryDirectory(dir=image.parent, prefix="root-") as scratch:
        root, unfinished = Path(scratch) / "root", Path(scratch) / "image"
        _run(
            "mmdebstrap",
            *OPTIONS,
            _account(),
            f"--include={','.join((*CLOUD_IMAGE, *OF_NODES))}",
            SUITE,
            root,
            sources,
        )
        for inside, path in programs.items():
            shutil.copy(path, root / inside.lstrip("/"))
        shutil.rmtree(root / "var/cache/apt/archives")
        _run(SCRIPT, root, unfinished)
        unfinished.rename(image)


def _account() -> str:
    """The option that makes it, when there is an /etc/passwd and no program for that yet."""
    users = (user for component in COMPONENTS for user in component.users)
    uid = next(user.uid for user in users if user.name == ACCOUNT)
    user, group = f"{ACCOUNT}:x:{uid}:{uid}::/nonexistent:/usr/sbin/nologin", f"{ACCOUNT}:x:{uid}:"
    return f'--essential-hook=echo {user} >>"$1"/etc/passwd; echo {group} >>"$1"/etc/group'


def _run(*command: str | Path) -> None:
    path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS,
        env={**os.environ, "PATH": path},
        check=False,
    )
    assert done.returncode == 0, f"{command[0]}: {done.stderr[-2000:]}"
