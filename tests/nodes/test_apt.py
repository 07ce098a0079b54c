"""A node's packages by the real apt and dpkg, in a root of its own, from signed archives behind a proxy."""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import AptPackages
from constructs_lib.nodes.cloud_init import pack
from constructs_lib.nodes.generation import manifest
from constructs_lib.nodes.render import render
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from tests.conftest import need
from tests.nodes.apt_archives import Deb, Signer, Web, proxy, publish
from tests.nodes.clusters import SOURCE, WHOLE
from tests.nodes.clusters import nodes as nodes_of
from tests.nodes.node import Node
from tests.nodes.test_cloud_init import SOURCES

pytestmark = [pytest.mark.root, pytest.mark.slow]
RELEASE = platform.freedesktop_os_release()
CODENAME = RELEASE["VERSION_CODENAME"]
ARCHIVE, SECURITY = "http://mirror.example.org/debian", "http://mirror.example.org/debian-security"
FOREIGN = {
    one.name: one.software
    for one in COMPONENTS
    if isinstance(one.software, AptPackages) and one.software.repository
}
APT = """
Dir "{root}";
Dir::State::status "{root}/var/lib/dpkg/status";
DPkg::Path "{path}";
"""


class Machine:
    """A root with an empty dpkg, the real apt for it, and archives that only the proxy leads to."""

    def __init__(self, folder: Path, web: Web) -> None:
        self.node, self.web, self.signers = Node(folder / "node"), web, dict[str, Signer]()
        (self.node.doubles / "dpkg").unlink()
        self.root, self.folder = self.node.root, folder
        for made in ("apt/preferences.d", "apt/apt.conf.d", "apt/sources.list.d", "apt/trusted.gpg.d"):
            (self.root / "etc" / made).mkdir(parents=True)
        for made in ("lib/dpkg/info", "lib/dpkg/updates", "lib/apt/lists/partial", "log/apt"):
            (self.root / "var" / made).mkdir(parents=True)
        (self.root / "var/cache/apt/archives/partial").mkdir(parents=True)
        (self.root / "var/lib/dpkg/status").touch()
        (folder / "apt.conf").write_text(APT.format(root=self.root, path=self.node.environment()["PATH"]))
        self.environment = {
            name: value for name, value in self.node.environment().items() if "proxy" not in name.lower()
        } | {
            "APT_CONFIG": str(folder / "apt.conf"),
            "DPKG_ROOT": str(self.root),
            # A package's scripts run outside of its root, which has no program at all.
            "DPKG_FORCE": "script-chrootless",
        }

    def signer(self, name: str, *, expired: bool = False) -> Signer:
        if name not in self.signers:
            self.signers[name] = Signer(self.folder / f"gpg-{name}", name, expired=expired)
        return self.signers[name]

    def distribution(self, names: list[str], newer: str) -> None:
        """The distribution's archives: that of security updates has one package, in a newer version."""
        owner = self.signer("distribution")
        (self.root / "etc/apt/trusted.gpg.d/distribution.asc").write_bytes(owner.public)
        archive, security = self.web.archive(ARCHIVE), self.web.archive(SECURITY)
        publish(archive, CODENAME, "main", [Deb(name, "1.0-1") for name in names], owner)
        for suite in ("updates", "backports"):
            publish(archive, f"{CODENAME}-{suite}", "main", [], owner)
        publish(security, f"{CODENAME}-security", "main", [Deb(newer, "1.0-1+sec1")], owner)

    def mirror(self, component: str, *, signer: str = "", key: str = "") -> dict[str, str]:
        """A mirror of the component's repository, and what cluster.yaml says of it."""
        software = FOREIGN[component]
        assert software.repository is not None
        sharing = [one for one in FOREIGN.values() if one.repository == software.repository]
        address = f"http://mirror.example.org/{sharing[0].names[0]}/{RELEASE['ID']}/{CODENAME}"
        trusted, archive = self.signer(key or "mirror"), self.web.archive(address)
        if not (archive / "dists").exists():
            debs = {deb for one in sharing for deb in lines_of(one)}
            section = software.repository.section
            publish(archive, CODENAME, section, sorted(debs), self.signer(signer or "mirror"))
        self.web.put(address, {software.repository.key.rpartition("/")[2]: trusted.public})
        return {
            "mirror": address.replace(RELEASE["ID"], "{distribution}").replace(CODENAME, "{codename}"),
            "fingerprint": trusted.fingerprint,
        }

    def sources(self, text: str) -> None:
        """What cloud-init makes of the node's text before the node's program runs."""
        template = f"/etc/cloud/templates/sources.list.{RELEASE['ID']}.tmpl"
        made = subprocess.run(
            ["/usr/bin/python3", "-c", SOURCES, text, template, CODENAME], capture_output=True, check=True
        )
        (self.root / "etc/apt/sources.list").write_bytes(made.stdout)

    def run(
        self, packages: list[dict[str, Any]], command: str = "first-boot", **manifest: Any
    ) -> subprocess.CompletedProcess[str]:
        self.node.send({}, packages=packages, proxy=self.web.address, **manifest)
        return subprocess.run(
            self.node.command(command),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            timeout=180,
        )

    def ask(self, *command: str) -> str:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self.environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def versions(self) -> dict[str, str]:
        rows = self.ask("dpkg-query", "-W", "-f", "${Package} ${Version}\n").splitlines()
        return dict(row.split() for row in rows)


def lines_of(software: AptPackages) -> Iterator[Deb]:
    """Two versions of the pinned line and one of another, of which the first package asks for the others."""
    first, *others = software.names
    for version in (f"{software.version}.1-1", f"{software.version}.2-1", "99.0-1"):
        yield Deb(first, version, tuple(others))
        yield from (Deb(name, version) for name in others)


@pytest.fixture
def machine() -> Iterator[Machine]:
    # Not below pytest's own folder, which apt's unprivileged user could not enter.
    folder = Path(tempfile.mkdtemp(prefix="apt-"))
    folder.chmod(0o755)
    for program in ("apt-get", "dpkg-deb", "gpg", "cloud-init"):
        need(program)
    (folder / "web").mkdir()
    with proxy(folder / "web") as web:
        made = Machine(folder, web)
        yield made
    for signer in made.signers.values():
        signer.close()
    shutil.rmtree(folder)


def told(machine: Machine, name: str) -> tuple[str, list[dict[str, Any]]]:
    """A node's text and packages, of a cluster that has everything from mirrors."""
    software = {component: machine.mirror(component) for component in FOREIGN}
    mirrors = {"apt_mirror": ARCHIVE, "apt_security_mirror": SECURITY, "proxy": machine.web.address}
    planned = plan(from_dict(WHOLE | {"software": software | mirrors})).site("eu")
    files = render(planned, next(node for node in nodes_of(planned) if node.name == name))
    return pack(files, SOURCE), json.loads(json.dumps(manifest(files, SOURCE)))["packages"]


@pytest.mark.parametrize("name", ["consul-1", "general"])
def test_a_node_is_installed_from_mirrors_through_the_proxy_and_pinned_packages_stay(
    machine: Machine, name: str
) -> None:
    text, packages = told(machine, name)
    plain = [one for entry in packages if "repository" not in entry for one in entry["names"]]
    pinned = {one: entry["version"] for entry in packages if "repository" in entry for one in entry["names"]}
    machine.distribution(plain, newer=plain[0])
    machine.sources(text)

    done = machine.run(packages)

    assert done.returncode == 0, done.stderr
    wanted = dict.fromkeys(plain, "1.0-1") | {plain[0]: "1.0-1+sec1"}
    wanted |= {one: f"{version}.2-1" for one, version in pinned.items()}
    assert machine.versions() == wanted
    assert set(machine.ask("apt-mark", "showhold").split()) == set(pinned)

    machine.ask("apt-get", "-y", "-o", f"Acquire::http::Proxy={machine.web.address}", "dist-upgrade")
    assert machine.versions() == wanted

    machine.web.asked.clear()
    again = machine.run(packages, "apply")
    assert (again.returncode, machine.web.asked) == (0, []), again.stderr


SYSTEMCTL = """#!/bin/sh
# Double of systemctl: every unit is enabled, and $DOUBLES/running says which runs since when.
echo "$*" >>"$DOUBLES/calls"
for unit; do :; done
since=$(sed -n "s/^$unit //p" "$DOUBLES/running")
case "$*" in
*is-enabled*) echo enabled ;;
*is-active*) test -n "$since" ;;
*ActiveEnterTimestampMonotonic*) echo "${since:-0}" ;;
esac
"""
STARTS = """echo "$DPKG_MAINTSCRIPT_PACKAGE configured" >>"$DOUBLES/calls"
deb-systemd-invoke ACTION UNIT
"""
"""What debhelper writes for a package with a service; ACTION is restart where an older one was there."""
OURS = {"component": "web", "units": ["web.service"], "seconds": 5, "checks": []}


def archive_of(machine: Machine, debs: list[Deb]) -> None:
    """The one source that the machine has."""
    owner = machine.signer("distribution")
    (machine.root / "etc/apt/trusted.gpg.d/distribution.asc").write_bytes(owner.public)
    publish(machine.web.archive(ARCHIVE), CODENAME, "main", debs, owner)
    (machine.root / "etc/apt/sources.list").write_text(f"deb {ARCHIVE} {CODENAME} main\n")


def starting(name: str, version: str, unit: str, action: str = "start") -> Deb:
    return Deb(name, version, postinst=STARTS.replace("ACTION", action).replace("UNIT", unit))


def changes(machine: Machine) -> list[str]:
    """What was done to units, in order, and between it which package was configured."""
    words = (" start ", " restart ", " configured", "daemon-reload")
    return [call for call in machine.node.calls() if any(word in f" {call} " for word in words)]


def services(machine: Machine) -> None:
    """Units have a systemd, and no service runs."""
    machine.node.double("systemctl", SYSTEMCTL)
    (machine.node.doubles / "running").touch()
    (machine.root / "run").mkdir()


def test_what_packages_start_waits_until_all_files_are_in_place(machine: Machine) -> None:
    services(machine)
    archive_of(machine, [starting("web", "1.0-1", "web.service"), starting("tidy", "1.0-1", "tidy.timer")])

    done = machine.run([{"names": ["web", "tidy"]}], stages=[OURS])

    assert done.returncode == 0, done.stderr
    began = changes(machine)
    reload = began.index("daemon-reload")
    assert sorted(began[:reload]) == ["tidy configured", "web configured"]
    started = [call for call in began[reload:] if "start" in call]
    assert started == ["--quiet --system start tidy.timer", "start web.service"]
    assert list((machine.root / "usr/sbin").iterdir()) == list((machine.root / "run").iterdir()) == []


@pytest.mark.parametrize("action", ["start", "restart"])
def test_a_package_that_is_upgraded_still_has_its_running_service_take_the_new_program(
    machine: Machine, action: str
) -> None:
    services(machine)
    both = [starting("web", "1.0-1", "web.service"), starting("web", "2.0-1", "web.service", action)]
    archive_of(machine, both)
    assert machine.run([{"names": ["web"], "version": "1.0"}], stages=[OURS]).returncode == 0
    changes(machine)
    (machine.node.doubles / "running").write_text("web.service 4711\n")

    done = machine.run([{"names": ["web"], "version": "2.0"}], "apply", stages=[OURS])

    assert done.returncode == 0, done.stderr
    assert machine.versions() == {"web": "2.0-1"}
    assert changes(machine)[:2] == ["web configured", f"--quiet --system {action} web.service"]


def test_what_a_power_cut_left_half_done_starts_no_service_either(machine: Machine) -> None:
    services(machine)
    archive_of(machine, [starting("web", "1.0-1", "web.service")])
    machine.ask("apt-get", "-o", f"Acquire::http::Proxy={machine.web.address}", "update")
    fetch = ("apt-get", "-y", "-o", f"Acquire::http::Proxy={machine.web.address}", "--download-only")
    machine.ask(*fetch, "install", "web")
    [package] = (machine.root / "var/cache/apt/archives").glob("*.deb")
    machine.ask("dpkg", "--unpack", str(package))

    done = machine.run([{"names": ["web"]}], stages=[OURS])

    assert done.returncode == 0, done.stderr
    began = changes(machine)
    assert began[:2] == ["web configured", "daemon-reload"]
    assert "start web.service" in began


REFUSED = {
    "another key signed it": ({"signer": "mallory"}, "is not signed."),
    "the key has expired": ({"signer": "old", "key": "old"}, "is not signed."),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_repository_that_the_trusted_key_does_not_sign_today_is_waited_for(
    machine: Machine, case: str
) -> None:
    machine.signer("old", expired=True)
    how, said = REFUSED[case]
    settings = machine.mirror("docker", **how)
    software = FOREIGN["docker"]
    assert software.repository is not None
    entry = {
        "component": "docker",
        "names": list(software.names),
        "version": software.version,
        "repository": {
            "uri": settings["mirror"],
            "suite": "{codename}",
            "section": software.repository.section,
            "key": software.repository.key,
            "fingerprint": settings["fingerprint"],
        },
    }

    done = machine.run([entry])

    assert done.returncode == 1
    assert f"{CODENAME} InRelease' {said}" in done.stderr, done.stderr
    assert machine.versions() == {}


def test_an_archive_without_the_suite_of_security_updates_is_waited_for(machine: Machine) -> None:
    """As cloud-init would have it where Debian's mirror is named alone."""
    machine.distribution(["chrony"], newer="chrony")
    lines = [f"deb {ARCHIVE} {CODENAME} main\n", f"deb {ARCHIVE} {CODENAME}-security main\n"]
    (machine.root / "etc/apt/sources.list").write_text("".join(lines))

    done = machine.run([{"names": ["chrony"]}])

    assert done.returncode == 1
    assert f"{CODENAME}-security Release' does not have a Release file." in done.stderr
