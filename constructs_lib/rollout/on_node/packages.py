"""Pinned versions that no repository of this node has: told before anything changes, not waited for."""

from __future__ import annotations

import os
import subprocess

from constructs_lib.rollout.on_node.state import Data, Node, RefusedError

UPDATE_SECONDS = 300
TOLD = 5
"""How many of the versions that there are get named, newest first as apt has them."""


def refuse_unknown_versions(node: Node, manifest: Data) -> None:
    """RefusedError where apt knows no version of a line that is to be installed.

    Packages of a repository that this node does not have yet are passed over: its key and address come with
    the generation, and clustermesos-apply looks then.
    """
    wanted = [one for one in manifest["packages"] if one.get("version") and not here(one)]
    known = repositories(node)
    asked = [one for one in wanted if not one.get("repository") or one["repository"] in known]
    if not asked:
        return
    proxy = {name: manifest["proxy"] for name in ("http_proxy", "https_proxy") if manifest.get("proxy")}
    updated = apt("apt-get", "-q", "update", environ=proxy)
    for one in asked:
        name, line = one["names"][0], one["version"]
        rows = apt("apt-cache", "madison", name).stdout.splitlines()
        there = list(dict.fromkeys(row.split("|")[1].strip() for row in rows if row.count("|") > 1))
        if not any(of_line(version, line) for version in there):
            raise RefusedError(refusal(name, line, there, updated))


def refusal(name: str, line: str, there: list[str], updated: subprocess.CompletedProcess[str]) -> str:
    """What to say of a package without a version of its line."""
    found = f"it has {', '.join(there[:TOLD])}" if there else "it has none of this package at all"
    trouble = (updated.stderr.strip().splitlines() or [""])[-1] if updated.returncode else ""
    late = f" (apt-get update failed: {trouble[:200]})" if trouble else ""
    return (
        f"{name}: the repository has no version {line}; {found}{late}. Nothing was changed on this node: "
        "give a version that exists under software, or wait until the repository has it, then run it again"
    )


def repositories(node: Node) -> list[Data]:
    """Those that the wanted generation brought to this node."""
    manifest = node.read(node.folder(node.pointer("wanted")) / "manifest.json") or {"packages": []}
    return [one["repository"] for one in manifest["packages"] if one.get("repository")]


def here(one: Data) -> bool:
    """Whether the component's first package is installed in the wanted line."""
    asked = ("dpkg-query", "-W", "-f", "${db:Status-Status} ${Version}", one["names"][0])
    status, _, version = apt(*asked).stdout.partition(" ")
    return status == "installed" and of_line(version, one["version"])


def of_line(version: str, line: str) -> bool:
    """As clustermesos-apply says: 5:28.5.1-1~ubuntu is of line 28.5."""
    upstream = version.rpartition(":")[2]
    return upstream == line or (upstream.startswith(line) and upstream[len(line)] in ".-+~")


def apt(*command: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """One of apt's programs; nothing here needs one to succeed."""
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=UPDATE_SECONDS,
            env={**os.environ, **(environ or {}), "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return subprocess.CompletedProcess(command, 1, "", f"{command[0]}: {error}")
