"""The home site's registry and another site's cache of it, while the real link is cut and afterwards."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from constructs_lib.components.consul import AUTHORITY_PATH
from constructs_lib.components.registry import HOME
from tests.components.registry_here import MANIFEST, Registry
from tests.conftest import need
from tests.lab.asking import LONG as LONGEST
from tests.lab.asking import seen, until
from tests.sites.machine import stop
from tests.sites.network import Network

pytestmark = [pytest.mark.root, pytest.mark.slow]
NODE = "consul-1"
UNIT = "/etc/systemd/system/docker-registry.service"


class Registries:
    """One in each site; a double of systemctl counts what it was asked for."""

    def __init__(self, joined: Network) -> None:
        self.joined = joined
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        for site in ("eu", "dc1"):
            machine = joined.machine(site, NODE)
            # The name that Consul would resolve.
            hosts = machine.at("/etc/hosts").read_text()
            machine.put("/etc/hosts", f"{hosts}\n{joined.address('eu', NODE)} registry.service.eu.consul\n")
            machine.put(
                "/usr/local/bin/systemctl", '#!/bin/sh\n# Double.\necho "$*" >>/run/systemctl\n', 0o755
            )

    def start(self, site: str) -> None:
        """Start it anew, as systemd would."""
        if site in self.processes:
            stop(self.processes[site])
        machine = self.joined.machine(site, NODE)
        machine.run("rm", "-rf", "/run/registry")
        machine.run("mkdir", "-p", "/run/registry")
        machine.run("/usr/local/libexec/registry-config")
        unit = machine.at(UNIT).read_text()
        [program] = re.findall(r"(?m)^ExecStart=(.*)$", unit)
        given = re.findall(r"(?m)^Environment=(\S+)$", unit)
        self.processes[site] = machine.starts("env", *given, *program.split(), into="/run/registry.log")
        until(f"{site}'s registry answers", LONGEST, lambda: self.asks(site, "/v2/") == "200")

    def asks(self, site: str, path: str) -> str:
        """The status of the site's own registry, asked by its own node."""
        password = self.joined.secrets["registry_password"]
        name = f"registry.service.{site}.consul:5000"
        words = ("-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Accept: {MANIFEST}", "--noproxy", "*")
        to = ("--resolve", f"{name}:{self.joined.address(site, NODE)}", "--cacert", AUTHORITY_PATH)
        login = ("-u", f"cluster:{password}")
        return (
            self.joined.machine(site, NODE).does("curl", *words, *to, *login, f"https://{name}{path}").stdout
        )

    def watch(self) -> list[str]:
        """What the cache's timer asks systemctl for."""
        machine = self.joined.machine("dc1", NODE)
        machine.put("/run/systemctl", "")
        machine.run(HOME, "watch")
        return machine.at("/run/systemctl").read_text().splitlines()


@pytest.fixture
def registries(hybrid: Network, tmp_path: Path) -> Registries:
    """Both run; the home site's has two images."""
    for program in ("docker-registry", "htpasswd", "curl"):
        need(program)
    pushed = Registry(tmp_path)
    pushed.start()
    try:
        for name in ("shop/web", "shop/api"):
            pushed.push_image(name)
    finally:
        pushed.stop()
    data = hybrid.machine("eu", NODE).at("/srv/data/registry")
    shutil.copytree(tmp_path / "srv/data/registry", data, dirs_exist_ok=True)
    made = Registries(hybrid)
    for site in ("eu", "dc1"):
        made.start(site)
    return made


def test_images_that_were_pulled_are_served_while_the_link_is_cut_and_all_afterwards(
    registries: Registries,
) -> None:
    web, api = "/v2/shop/web/manifests/1", "/v2/shop/api/manifests/1"
    assert registries.asks("dc1", web) == "200"
    assert registries.watch() == []

    registries.joined.internet.run("ip", "link", "set", "dc1", "down")
    assert registries.watch() == ["try-restart docker-registry"]
    registries.start("dc1")
    assert registries.asks("dc1", web) == "200"
    assert registries.asks("dc1", api) == "404"

    registries.joined.internet.run("ip", "link", "set", "dc1", "up")
    seen("the home site's registry is seen", LONGEST, registries.watch)
    registries.start("dc1")
    assert registries.asks("dc1", api) == "200"
