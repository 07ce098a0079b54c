"""`clustermesos links rotate` between two gateways with real WireGuard: ssh and systemctl are doubles."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path

import pytest

from constructs_lib.access.ssh import Ssh
from constructs_lib.access.ssh_config import Folder
from constructs_lib.errors import RollError
from constructs_lib.nodes.generation import SecretSource, manifest
from constructs_lib.rollout.link_keys import RemoteGateway, change_keys
from constructs_lib.rollout.remote import NodeShell
from constructs_lib.secrets.values import new_value, wireguard_public_key
from scripts.tools import TOOLS
from tests.lab.asking import until
from tests.sites.conftest import reaches_home
from tests.sites.machine import LONG
from tests.sites.network import Network, Site
from tests.sites.test_keys import interface

pytestmark = [pytest.mark.root, pytest.mark.slow]
STATE = "/var/lib/clustermesos"
SSH_DOUBLE = """#!/bin/sh
# Double of ssh: enters the machine that is called so, where everybody may do anything.
host=$3; shift 4
exec nsenter --target="$(cat {folder}/"$host")" --net --mount --pid --uts --wd=/ \\
    env PATH={path} sh -c 'sudo() {{ shift; "$@"; }}; '"$*"
"""
ORDER = ("eu", "dc1")
"""The home site's gateway is called, the other one calls."""


def stands(site: Site) -> None:
    """The gateway as clustermesos-apply leaves it: a generation, a source of secrets, and units."""
    gateway, files = site.gateway, site.files("gateway-1")
    whole = manifest(files, SecretSource(command="cat-secret"))
    gateway.put(f"{STATE}/generations/1/manifest.json", json.dumps(whole))
    gateway.run("ln", "-sfn", "generations/1", f"{STATE}/wanted")
    for secret in files.secrets:
        gateway.put(f"/etc/source/{secret.name}", site.secrets[secret.name], 0o600)
    gateway.put("/usr/local/sbin/cat-secret", '#!/bin/sh\nexec cat "/etc/source/$1"\n', 0o755)
    lines = [shlex.join(command) for command in site.unit("ExecReload")]
    text = "\n".join(["#!/bin/sh", "# Double of systemctl: reloads the tunnel.", "set -e", *lines, ""])
    gateway.put("/usr/local/sbin/systemctl", text, 0o755)


@pytest.fixture
def ssh(hybrid: Network, tmp_path: Path) -> Ssh:
    path = f"{TOOLS / 'bin'}:/usr/local/sbin:/usr/sbin:/sbin:{os.environ['PATH']}"
    (tmp_path / "ssh").write_text(SSH_DOUBLE.format(folder=tmp_path, path=path))
    (tmp_path / "ssh").chmod(0o755)
    for name, site in hybrid.sites.items():
        stands(site)
        (tmp_path / name).write_text(str(site.gateway.first))
    return Ssh(folder=Folder(tmp_path), program=str(tmp_path / "ssh"))


def made() -> dict[str, str]:
    private = {site: new_value("wireguard_key") for site in ORDER}
    return {f"wireguard_key_{site}": key for site, key in private.items()} | {
        f"wireguard_public_key_{site}": wireguard_public_key(key) for site, key in private.items()
    }


def gateways(ssh: Ssh, values: dict[str, str]) -> list[RemoteGateway]:
    return [
        RemoteGateway(
            site=site,
            shell=NodeShell(ssh=ssh, login=site),
            keys={
                f"wireguard_key_{site}": (None, values[f"wireguard_key_{site}"]),
                f"wireguard_public_key_{other}": (other, values[f"wireguard_public_key_{other}"]),
            },
            peers=[other],
        )
        for site, other in (ORDER, ORDER[::-1])
    ]


def peers(joined: Network) -> dict[str, str]:
    """The public key that each gateway knows of the other."""
    return {site: joined.sites[site].gateway.run("wg", "show", "sites", "peers").strip() for site in ORDER}


def test_all_gateways_get_new_keys_traffic_passes_again_and_the_old_key_is_worth_nothing(
    hybrid: Network, ssh: Ssh
) -> None:
    values, before = made(), {name: interface(hybrid, name) for name in ORDER}

    change_keys(gateways(ssh, values), print)

    until("the agent reaches the home site again", LONG, lambda: reaches_home(hybrid))
    assert peers(hybrid) == {
        "eu": values["wireguard_public_key_dc1"],
        "dc1": values["wireguard_public_key_eu"],
    }
    assert {name: interface(hybrid, name) for name in ORDER} == before

    dc1 = hybrid.sites["dc1"]
    dc1.gateway.put("/etc/wireguard/keys/own", dc1.secrets["wireguard_key_dc1"], 0o600)
    dc1.link_reload()
    until("the old key opens nothing", LONG, lambda: not reaches_home(hybrid))


def test_the_same_keys_once_more_change_nothing_that_works(hybrid: Network, ssh: Ssh) -> None:
    values = made()
    change_keys(gateways(ssh, values), print)

    change_keys(gateways(ssh, values), print)

    assert reaches_home(hybrid)


def test_a_gateway_that_is_lost_after_another_has_changed_leaves_the_former_keys_in_force(
    hybrid: Network, ssh: Ssh
) -> None:
    before = peers(hybrid)
    called, calling = gateways(ssh, made())

    class Lost(RemoteGateway):
        def go(self) -> None:
            self.close()
            super().go()

    lost = Lost(site=calling.site, shell=calling.shell, keys=calling.keys, peers=calling.peers)
    with pytest.raises(RollError, match="dc1: the connection was lost"):
        change_keys([called, lost], print)

    until("the agent reaches the home site again", LONG, lambda: reaches_home(hybrid))
    assert peers(hybrid) == before
