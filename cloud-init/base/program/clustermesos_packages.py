"""Installs the generation's packages where they are missing; pinned ones, and what says so, are held.

A repository outside the distribution is used only with a key of the given fingerprint.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import platform
import tempfile
import urllib.request
from typing import TYPE_CHECKING

from clustermesos_disk import Disk
from clustermesos_node import WRONG, Failure, ask, run, say
from clustermesos_policy import give_back, held_back

if TYPE_CHECKING:
    from clustermesos_disk import Entry


def install_all(disk: Disk, manifest: Entry) -> None:
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    if manifest["proxy"]:
        os.environ |= {"http_proxy": manifest["proxy"], "https_proxy": manifest["proxy"]}
    give_back(disk)
    # Power that was lost while packages were installed leaves some half done, and apt then does nothing.
    with held_back(disk) if ask("dpkg", "--audit").stdout else contextlib.nullcontext():
        run("dpkg", "--force-confold", "--configure", "-a")
    for component in manifest["packages"]:
        install(disk, component)


def install(disk: Disk, component: Entry) -> None:
    """The first package has to be of the wanted line; the others are where they come in it too."""
    names, line, repository = component["names"], component.get("version"), component.get("repository")
    found = {name: installed(name) for name in names}
    if None in found.values() or not of_line(found[names[0]], line):
        if repository:
            add_repository(disk, component["component"], repository)
        run("apt-get", "-q", "update")
        wanted = [
            f"{name}{pin(name, line, must=name == names[0])}" for name in names if line or not found[name]
        ]
        options = ("-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Options::=--force-confold")
        flags = ("--no-install-recommends", "--allow-change-held-packages", "--allow-downgrades")
        with held_back(disk):
            run("apt-get", "-q", "-y", *options, *flags, "install", *wanted)
        say(f"installed {' '.join(wanted)}")
    if line or component.get("hold"):
        run("apt-mark", "hold", *names)


def other_versions(manifest: Entry) -> str:
    """Pinned packages that are of another version than the wanted one; empty where there are none."""
    pinned = [(one["names"][0], one["version"]) for one in manifest["packages"] if one.get("version")]
    found = [(name, installed(name), line) for name, line in pinned]
    return ", ".join(
        f"{name} is {version} and has to be {line}"
        for name, version, line in found
        if not of_line(version, line)
    )


def installed(name: str) -> str | None:
    answer = ask("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", name).stdout
    status, _, version = answer.partition(" ")
    return version if status == "installed" else None


def of_line(version: str | None, line: str | None) -> bool:
    """5:28.5.1-1~ubuntu is of line 28.5, whatever epoch the packager put before it."""
    upstream = (version or "").rpartition(":")[2]
    return line is None or upstream == line or (upstream.startswith(line) and upstream[len(line)] in ".-+~")


def pin(name: str, line: str | None, *, must: bool) -> str:
    """`=5:28.5.1-1~ubuntu` for the newest version of the line that apt knows; empty where none is asked."""
    if line is None:
        return ""
    known = [row.split("|")[1].strip() for row in run("apt-cache", "madison", name).splitlines()]
    for version in known:
        if of_line(version, line):
            return f"={version}"
    if must:
        # Waited for: apt-get update succeeds where no mirror answers, and one may be half synchronised.
        raise Failure(f"{name}: no version {line}; the repository has {', '.join(known[:5]) or 'none'}")
    return ""


def add_repository(disk: Disk, name: str, repository: Entry) -> None:
    release = platform.freedesktop_os_release()
    known = {"distribution": release["ID"], "codename": release["VERSION_CODENAME"]}
    uri, key_at = repository["uri"], repository["key"]
    if isinstance(uri, dict):
        if known["distribution"] not in uri:
            raise Failure(f"{name}: no repository for {known['distribution']}", WRONG)
        uri = uri[known["distribution"]]
    uri, suite = uri.format(**known), repository["suite"].format(**known)
    key = trusted_key(key_at if "://" in key_at else f"{uri}/{key_at}", repository["fingerprint"])
    keyring = f"/etc/apt/keyrings/{name}.asc"
    source = f"deb [signed-by={disk.at(keyring)}] {uri} {suite} {repository['section']}\n"
    disk.put(keyring, key)
    disk.put(f"/etc/apt/sources.list.d/{name}.list", source.encode())


def trusted_key(url: str, fingerprint: str) -> bytes:
    """The key at `url`, refused unless it is the one and only with this fingerprint."""
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:
            key: bytes = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise Failure(f"{url}: {str(error) or type(error).__name__}") from None
    with tempfile.TemporaryDirectory() as home:
        show = ("gpg", "--homedir", home, "--batch", "--with-colons", "--show-keys")
        listed = ask(*show, text=False, stdin=key).stdout.decode()
    lines = [line.split(":") for line in listed.splitlines()]
    primary = [after[9] for line, after in itertools.pairwise(lines) if line[0] == "pub"]
    if not primary:
        # Mostly a page of whoever stands in between, which goes away; another key does not.
        raise Failure(f"{url}: holds no key at all, but {fingerprint} is trusted")
    if primary != [fingerprint]:
        raise Failure(f"{url}: holds key {primary}, but {fingerprint} is trusted and no other", WRONG)
    return key
