"""Packages, with real keys over HTTP on this machine; dpkg and apt are doubles."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from constructs_lib.components import COMPONENTS
from constructs_lib.components.model import AptPackages, Component
from constructs_lib.nodes.generation import manifest
from constructs_lib.nodes.render import render
from constructs_lib.plan.model import NodePlan, PoolPlan, SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.spec.load import from_dict
from tests.conftest import need
from tests.nodes.clusters import SOURCE, WHOLE
from tests.nodes.clusters import nodes as nodes_of
from tests.nodes.node import Node

DOUBLE = """#!/bin/sh
# Double of {name}: writes down its call; {name}.out is what it prints.
echo "{name} $*" >>"$DOUBLES/calls"
for last; do :; done
while [ "{name}" = apt-mark ] && shift && [ $# != 0 ]; do touch "$DOUBLES/held/$1"; done
if [ "{name}" = dpkg-query ]; then cat "$DOUBLES/installed/$last" 2>/dev/null || exit 1; fi
if [ "{name}" = apt-cache ]; then cat "$DOUBLES/known/$last" 2>/dev/null || true; fi
"""

APT = """#!/bin/sh
# Double of apt-get: installs what is asked for; with -y it refuses what the real one refuses without a flag.
echo "apt-get $*" >>"$DOUBLES/calls"
case "$*" in *install*) ;; *) exit 0 ;; esac
flags=$* wanted=
while [ "$1" != install ]; do shift; done
shift
for one; do
    name=${one%%=*} version=${one#*=}
    [ "$name" = "$one" ] && version=1
    old=$(sed 's/^installed //' "$DOUBLES/installed/$name" 2>/dev/null)
    case "$flags" in *--allow-downgrades*) ;; *)
        if [ "$name" != "$one" ] && /usr/bin/dpkg --compare-versions "$version" lt-nl "$old"; then
            echo "E: Packages were downgraded and -y was used without --allow-downgrades." >&2; exit 100
        fi ;;
    esac
    case "$flags" in *--allow-change-held-packages*) ;; *)
        if [ -e "$DOUBLES/held/$name" ]; then
            echo "E: Held packages were changed and -y was used without --allow-change-held-packages." >&2
            exit 100
        fi ;;
    esac
    wanted="$wanted $name=$version"
done
for one in $wanted; do
    [ "${one#*=}" = 1 ] && [ -e "$DOUBLES/installed/${one%%=*}" ] && continue
    printf 'installed %s' "${one#*=}" >"$DOUBLES/installed/${one%%=*}"
done
"""


class Machine:
    def __init__(self, folder: Path) -> None:
        self.node = Node(folder)
        self.folder, self.doubles, self.web = folder, self.node.doubles, folder / "web"
        for made in (*(self.doubles / kind for kind in ("installed", "known", "held")), self.web):
            made.mkdir(parents=True, exist_ok=True)
        for name in ("dpkg-query", "apt-cache", "apt-mark"):
            self.node.double(name, DOUBLE.replace("{name}", name))
        self.node.double("apt-get", APT)

    def installed(self, name: str, version: str) -> None:
        (self.doubles / "installed" / name).write_text(f"installed {version}")

    def known(self, name: str, *versions: str) -> None:
        rows = "".join(f" {name} | {version} | http://example.org noble/stable\n" for version in versions)
        (self.doubles / "known" / name).write_text(rows)

    def has(self, name: str) -> str:
        return (self.doubles / "installed" / name).read_text().removeprefix("installed ").strip()

    def run(self, base: tuple[str, ...] = (), **package: Any) -> subprocess.CompletedProcess[str]:
        defaults = {"component": "docker", "names": ["docker-ce", "cli"], "version": "28.5"}
        wanted = [{"names": base}] if base else []
        self.node.send({}, packages=[*wanted, *([defaults | package] if package else [])])
        environment = self.node.environment() | {"no_proxy": "127.0.0.1"}
        return subprocess.run(
            self.node.command("apply"),
            capture_output=True,
            text=True,
            check=False,
            env=environment,
            timeout=180,
        )

    def calls(self) -> list[str]:
        """What apt was asked to change."""
        lines = (self.doubles / "calls").read_text().splitlines()
        return [line for line in lines if line.startswith(("apt-get", "apt-mark"))]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def url(machine: Machine) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), lambda *arguments: Quiet(*arguments, directory=str(machine.web))
    )
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def short_answers() -> Iterator[str]:
    """A server that promises more than it sends."""

    class Short(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"-----BEGIN PGP")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with http.server.HTTPServer(("127.0.0.1", 0), Short) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def key(folder: Path, name: str) -> tuple[bytes, str]:
    """A new armoured public key and its fingerprint."""
    home = folder / f"gpg-{name}"
    home.mkdir(mode=0o700)
    gpg = [str(need("gpg")), "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    made = subprocess.run(
        [*gpg, "--passphrase", "", "--quick-gen-key", name, "ed25519"], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip(f"gpg makes no key here: {made.stderr.decode().strip()}")
    shown = subprocess.run(
        [*gpg, "--with-colons", "--list-keys"], capture_output=True, text=True, check=True
    ).stdout
    fingerprint = next(line.split(":")[9] for line in shown.splitlines() if line.startswith("fpr"))
    armoured = subprocess.run([*gpg, "--armor", "--export"], capture_output=True, check=True).stdout
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    return armoured, fingerprint


def repository(url: str, fingerprint: str) -> dict[str, str]:
    return {
        "uri": f"{url}/{{distribution}}",
        "suite": "{codename}",
        "section": "stable",
        "key": "gpg",
        "fingerprint": fingerprint,
    }


def distribution() -> dict[str, str]:
    import platform

    return platform.freedesktop_os_release()


def serve_key(machine: Machine, content: bytes) -> None:
    folder = machine.web / distribution()["ID"]
    folder.mkdir()
    (folder / "gpg").write_bytes(content)


def test_what_is_installed_is_left_alone_and_stays_held(machine: Machine) -> None:
    machine.installed("docker-ce", "5:28.5.2-1~ubuntu.24.04~noble")
    machine.installed("cli", "5:28.5.2-1~ubuntu.24.04~noble")

    done = machine.run(names=["docker-ce", "cli"])

    assert done.returncode == 0, done.stderr
    assert machine.calls() == ["apt-mark hold docker-ce cli"]


def test_what_has_no_version_is_held_where_its_restart_ends_tasks_and_else_follows_upgrades(
    machine: Machine,
) -> None:
    assert machine.run(names=["docker.io"], version=None, hold=True).returncode == 0
    assert machine.calls()[-1] == "apt-mark hold docker.io"

    assert machine.run(names=["rsyslog"], version=None).returncode == 0
    assert machine.calls()[-1].endswith("install rsyslog")


@pytest.mark.parametrize("wrong", ["5:28.50.1-1", "5:29.0.0-1", "5:128.5.1-1", "28.4.9"])
def test_another_line_is_replaced_by_the_newest_of_the_wanted_one(machine: Machine, wrong: str) -> None:
    machine.installed("docker-ce", wrong)
    machine.installed("cli", wrong)
    machine.known("docker-ce", "5:29.1.0-1~noble", "5:28.5.2-1~noble", "5:28.5.1-1~noble")
    machine.known("cli", "5:29.1.0-1~noble", "5:28.5.2-1~noble")

    done = machine.run(names=["docker-ce", "cli"])

    assert done.returncode == 0, done.stderr
    assert machine.calls()[1].endswith("install docker-ce=5:28.5.2-1~noble cli=5:28.5.2-1~noble")


DOCKER = {"component": "docker", "names": ["docker-ce", "cli"]}


@pytest.fixture
def upgraded(machine: Machine) -> Machine:
    """One that has run with 28.5 and was given 29.1, both held."""
    machine.known("docker-ce", "5:29.1.0-1", "5:28.5.2-1")
    machine.known("cli", "5:29.1.0-1", "5:28.5.2-1")
    for command, version in (("first-boot", "28.5"), ("apply", "29.1")):
        machine.node.send({"/etc/web.conf": f"{version}\n"}, packages=[DOCKER | {"version": version}])
        done = machine.node.apply(command)
        assert done.returncode == 0, done.stderr
    assert machine.has("docker-ce") == "5:29.1.0-1"
    return machine


def test_a_rollback_brings_held_packages_back_to_their_lower_version(upgraded: Machine) -> None:
    done = upgraded.node.apply("rollback")

    assert done.returncode == 0, done.stderr
    assert (upgraded.has("docker-ce"), upgraded.has("cli")) == ("5:28.5.2-1", "5:28.5.2-1")


def test_a_rollback_that_leaves_a_pinned_package_as_it_is_says_so_and_fails(upgraded: Machine) -> None:
    node = upgraded.node
    node.double("apt-get", "#!/bin/sh\n# Double of apt-get.\necho 'E: no mirror' >&2\nexit 100\n")

    done = node.apply("rollback")

    assert done.returncode == 1
    assert done.stderr == (
        "clustermesos-apply: error: all else is in place, but docker-ce is 5:29.1.0-1 and has to be 28.5: "
        "apt-get -q update: exit code 100: E: no mirror; gave up after 1 s\n"
    )
    assert node.at("/etc/web.conf").read_text() == "28.5\n"
    assert (node.status()["wanted"], node.status()["applied"]) == (1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("command", ["rollback", "boot"])
def test_a_rollback_that_was_not_whole_goes_on_with_the_same_generation(
    upgraded: Machine, command: str
) -> None:
    node = upgraded.node
    node.double("apt-get", "#!/bin/sh\n# Double of apt-get.\nexit 100\n")
    assert node.apply("rollback").returncode == 1
    assert node.apply(command).returncode == 1
    node.double("apt-get", APT)

    done = node.apply(command)

    assert done.returncode == 0, done.stderr
    assert upgraded.has("docker-ce") == "5:28.5.2-1"
    assert (node.status()["wanted"], node.status()["applied"]) == (1, 1)


def test_a_version_that_nobody_has_is_waited_for_and_named_with_those_there_are(machine: Machine) -> None:
    """As with a mirror that is half synchronised: the first boot's unit has to try it again."""
    machine.known("docker-ce", "5:29.1.0-1", "5:29.0.0-1")

    done = machine.run(names=["docker-ce", "cli"])

    assert done.returncode == 1
    assert done.stderr == (
        "clustermesos-apply: error: docker-ce: no version 28.5; the repository has 5:29.1.0-1, 5:29.0.0-1; "
        "gave up after 1 s\n"
    )


def test_a_repository_that_has_nothing_at_all_is_waited_for(machine: Machine) -> None:
    """As with a mirror that is down: `apt-get update` only warns of it."""
    done = machine.run(names=["docker-ce"])

    assert done.returncode == 1
    assert done.stderr.endswith("docker-ce: no version 28.5; the repository has none; gave up after 1 s\n")


def test_what_a_power_cut_left_half_done_is_done_before_anything_is_installed(machine: Machine) -> None:
    machine.node.double("dpkg", DOUBLE.replace("{name}", "dpkg"))

    done = machine.run(base=("chrony",))

    assert done.returncode == 0, done.stderr
    calls = (machine.doubles / "calls").read_text().splitlines()
    changes = [call for call in calls if call.startswith(("dpkg ", "apt-get"))]
    assert changes[:2] == ["dpkg --audit", "dpkg --force-confold --configure -a"]
    assert changes[-1].endswith("install chrony")


@pytest.mark.parametrize("command", ["boot", "rollback"])
def test_a_node_that_ran_goes_on_without_a_package(machine: Machine, command: str) -> None:
    node = machine.node
    machine.installed("chrony", "4.5")
    node.send({"/etc/web.conf": "one\n"}, packages=[{"names": ["chrony"]}])
    assert node.apply("first-boot").returncode == 0
    if command == "rollback":
        node.send({"/etc/web.conf": "two\n"})
        assert node.apply().returncode == 0
    (machine.doubles / "installed/chrony").unlink()
    node.double("apt-get", "#!/bin/sh\n# Double of apt-get.\necho 'E: no mirror' >&2\nexit 100\n")

    done = node.apply(command)

    assert done.returncode == 0, done.stderr
    assert "E: no mirror; gave up after 1 s" in done.stdout
    assert node.at("/etc/web.conf").read_text() == "one\n"


def test_only_missing_packages_of_the_distribution_are_installed(machine: Machine) -> None:
    machine.installed("chrony", "4.5")

    done = machine.run(base=("chrony", "nftables"))

    assert done.returncode == 0, done.stderr
    assert [call.split("install ")[-1] for call in machine.calls()] == ["apt-get -q update", "nftables"]


def test_a_repository_is_used_with_the_trusted_key(machine: Machine, url: str, tmp_path: Path) -> None:
    armoured, fingerprint = key(tmp_path, "docker")
    serve_key(machine, armoured)
    machine.known("docker-ce", "5:28.5.2-1")

    done = machine.run(repository=repository(url, fingerprint))

    assert done.returncode == 0, done.stderr
    keyring = machine.folder / "root/etc/apt/keyrings/docker.asc"
    source = machine.folder / "root/etc/apt/sources.list.d/docker.list"
    release = distribution()
    assert keyring.read_bytes() == armoured
    assert source.read_text() == (
        f"deb [signed-by={keyring}] {url}/{release['ID']} {release['VERSION_CODENAME']} stable\n"
    )


FOREIGN = [one for one in COMPONENTS if isinstance(one.software, AptPackages) and one.software.repository]


def installed_with(component: Component, **override: str) -> dict[str, Any]:
    """What a node is told of the component's packages, by a cluster.yaml that has this of it."""
    planned = plan(from_dict(WHOLE | {"software": {component.name: override}})).site("eu")
    node = next(one for one in nodes_of(planned) if _has(planned, one, component))
    told = json.loads(json.dumps(manifest(render(planned, node), SOURCE)))["packages"]
    assert isinstance(component.software, AptPackages)
    return next(dict(entry) for entry in told if entry["names"] == list(component.software.names))


def _has(planned: SitePlan, node: NodePlan | PoolPlan, component: Component) -> bool:
    return any(one.component == component.name for one in render(planned, node).packages)


@pytest.mark.slow
@pytest.mark.parametrize("component", FOREIGN, ids=lambda one: one.name)
def test_every_foreign_component_is_installed_from_a_mirror_with_a_key_of_its_own(
    machine: Machine, url: str, tmp_path: Path, component: Component
) -> None:
    mirror = f"{url}/{{distribution}}/{{codename}}/"
    armoured, fingerprint = key(tmp_path, "mirror")
    entry = installed_with(component, mirror=mirror, fingerprint=fingerprint)
    release = distribution()
    place = f"{release['ID']}/{release['VERSION_CODENAME']}"
    (machine.web / place).mkdir(parents=True)
    (machine.web / place / entry["repository"]["key"]).write_bytes(armoured)
    machine.known(entry["names"][0], f"{entry['version']}-1")

    done = machine.run(**entry)

    assert done.returncode == 0, done.stderr
    [source] = (machine.node.root / "etc/apt/sources.list.d").iterdir()
    assert source.read_text().split()[2:4] == [f"{url}/{place}", release["VERSION_CODENAME"]]


def test_a_key_of_somebody_else_is_refused_and_nothing_is_installed(
    machine: Machine, url: str, tmp_path: Path
) -> None:
    trusted, fingerprint = key(tmp_path, "docker")
    foreign, _ = key(tmp_path, "mallory")
    serve_key(machine, trusted + foreign)

    done = machine.run(repository=repository(url, fingerprint))

    assert done.returncode == 2
    assert f"but {fingerprint} is trusted and no other" in done.stderr
    assert not (machine.folder / "root/etc").exists()
    assert not any("install" in call for call in machine.calls())


def test_a_page_in_place_of_the_key_is_waited_for(machine: Machine, url: str) -> None:
    """As a portal answers, or a gateway that is not ready: exit code 2 would end a first boot's attempts."""
    serve_key(machine, b"<html>Please log in</html>\n")

    done = machine.run(repository=repository(url, "A" * 40))

    assert done.returncode == 1
    assert f"/gpg: holds no key at all, but {'A' * 40} is trusted; gave up after 1 s\n" in done.stderr
    assert not (machine.folder / "root/etc").exists()


def test_an_answer_that_is_cut_off_is_waited_for(machine: Machine, short_answers: str) -> None:
    done = machine.run(repository=repository(short_answers, "A" * 40))

    assert done.returncode == 1
    assert "gpg: IncompleteRead" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_key_that_is_not_there_is_one_line(machine: Machine, url: str) -> None:
    done = machine.run(repository=repository(url, "A" * 40))

    assert done.returncode == 1
    assert done.stderr.startswith(f"clustermesos-apply: error: {url}/")
    assert done.stderr.count("\n") == 1


def test_a_repository_may_have_an_address_for_each_distribution_and_its_key_elsewhere(
    machine: Machine, url: str, tmp_path: Path
) -> None:
    content, fingerprint = key(tmp_path, "owner")
    (machine.web / "owner.asc").write_bytes(content)
    machine.known("thing", "1.2-1")
    here = distribution()["ID"]
    listed = repository(url, fingerprint) | {
        "uri": {here: "http://here.invalid/{codename}"},
        "key": f"{url}/owner.asc",
    }

    done = machine.run(names=["thing"], version="1.2", repository=listed)

    assert done.returncode == 0, done.stderr
    [source] = (machine.node.root / "etc/apt/sources.list.d").glob("*.list")
    assert f"] http://here.invalid/{distribution()['VERSION_CODENAME']} " in source.read_text()

    other = machine.run(names=["other"], version="1", repository=listed | {"uri": {"plan9": "http://x"}})
    assert other.returncode == 2
    assert f"no repository for {here}" in other.stderr
