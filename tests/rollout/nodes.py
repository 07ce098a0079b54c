"""Nodes in temporary folders behind real sshds on loopback; on each the real clustermesos-apply.

Doubles, on the PATH that sshd gives: systemctl, journalctl, the secret source, and sudo, which runs the rest.
"""

from __future__ import annotations

import getpass
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constructs_lib.access.host_keys import public_host_key
from constructs_lib.access.ssh import Ssh
from constructs_lib.access.ssh_config import Folder, Host, write
from constructs_lib.components.model import Role
from constructs_lib.errors import RollError
from constructs_lib.nodes.bare_python import shipped
from constructs_lib.roll.gate import Machine
from constructs_lib.rollout.remote import NodeShell
from constructs_lib.rollout.targets import Target
from constructs_lib.rollout.wanted import Generation
from constructs_lib.secrets.values import new_value
from tests.access.servers import Server, serving
from tests.nodes.node import OWNER, PROGRAM, Node

SUDO_DOUBLE = '#!/bin/sh\n# Double of sudo: everybody may.\n[ "$1" = -n ] && shift\nexec "$@"\n'
HEALTH_DOUBLE = """#!/bin/sh
# The node's own health script, with the generation below its root instead of below /.
exec {python} {script} health --root {root} "$@"
"""
TOOLS = {"/usr/local/sbin/clustermesos-apply": PROGRAM}
LONG = 120
"""Seconds: a bound for what a machine with nothing else to do has done in two."""
UNIT = "web.service"
CONF = "/etc/web/web.conf"


def generation(files: Mapping[str, str], **manifest: Any) -> Generation:
    """A small one: `files` besides the node's own scripts, `restarts` and `checks` as in tests/nodes."""
    restarts = manifest.pop("restarts", {CONF: UNIT})
    tools = {path: shipped(path, source.read_text()) for path, source in TOOLS.items()}
    checks = manifest.pop("checks", [])
    entries = [
        {"path": path, "mode": "0640", "owner": OWNER}
        | ({"restarts": restarts[path]} if path in restarts else {})
        for path in (*tools, *files)
    ]
    whole: dict[str, Any] = {
        "format": 1,
        "users": [],
        "packages": [],
        "proxy": None,
        "volume": None,
        "directories": [],
        "secret_command": "get-secret",
        "secrets": [],
        "files": entries,
        "boot_units": [],
        "stages": [{"component": "web", "units": [UNIT], "seconds": 5, "checks": checks}],
    }
    return Generation(manifest=json.dumps(whole | manifest), files=tools | dict(files))


@dataclass
class Behind:
    """A node and the sshd in front of it."""

    node: Node
    server: Server
    name: str
    shell: NodeShell = field(init=False)

    def first_boot(self, wanted: Generation) -> None:
        """As cloud-init does it."""
        incoming = self.node.state / "incoming"
        for path, text in wanted.files.items():
            target = incoming / "files" / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        (incoming / "manifest.json").write_text(wanted.manifest)
        done = self.node.apply("first-boot")
        assert done.returncode == 0, done.stderr
        self.node.calls()

    def target(self, wanted: Generation, role: Role = Role.MASTER) -> Target:
        machine = Machine(
            name=self.name, address="127.0.0.1", role=role.value, cluster="demo", login=f"{self.name}.eu"
        )
        return Target(site="eu", name=self.name, role=role, machine=machine, generation=wanted)

    def conf(self) -> str:
        return self.node.at(CONF).read_text()


@contextmanager
def behind_sshd(program: Path, folder: Path, *names: str, patience: int = 2) -> Iterator[dict[str, Behind]]:
    """Nodes called `names`, each reached as NAME.eu by the SSH files of `folder`/private."""
    folder.mkdir(exist_ok=True)
    key = folder / "id_ed25519"
    key.write_text(new_value("ssh_host_key"))
    key.chmod(0o600)
    private = folder / "private"
    private.mkdir(mode=0o700)
    found: dict[str, Behind] = {}
    with ExitStack() as stack:
        for name in names:
            (folder / name).mkdir()
            node = Node(folder / name)
            _more_doubles(node)
            environment = {"PATH": node.environment()["PATH"], "DOUBLES": str(node.doubles)}
            server = stack.enter_context(
                serving(
                    program,
                    folder / f"sshd-{name}",
                    public_host_key(key.read_text()),
                    settings=(f"SetEnv {' '.join(f'{k}={v}' for k, v in environment.items())}",),
                )
            )
            found[name] = Behind(node, server, name)
        write([_host(one) for one in found.values()], Folder(private), identity_file=key)
        ssh = Ssh(folder=Folder(private), environ=dict(os.environ))
        for one in found.values():
            one.shell = NodeShell(
                ssh=ssh,
                login=f"{one.name}.eu",
                root=str(one.node.root),
                patience=patience,
                confirm_seconds=LONG,
            )
        yield found


def until(what: str, happened: Callable[[], object]) -> None:
    """Ask until it is so; a node that is not reached says nothing about it."""
    end = time.monotonic() + LONG
    while True:
        try:
            if last := happened():
                return
        except RollError as error:
            last = str(error)
        assert time.monotonic() < end, f"waited {LONG} s for {what}; seen last: {last!r}"
        time.sleep(0.2)


def ended(one: Behind, wanted: Generation) -> bool:
    """Whether what was started on the node is over."""
    return (one.shell.look(wanted, {}).result or {}).get("state") == "ended"


def _more_doubles(node: Node) -> None:
    node.double("sudo", SUDO_DOUBLE)
    double = HEALTH_DOUBLE.format(python="python3", script=PROGRAM, root=node.root)
    node.double("clustermesos-health", double)


def _host(behind: Behind) -> Host:
    return Host(
        names=(f"{behind.name}.eu",),
        address="127.0.0.1",
        port=behind.server.port,
        user=getpass.getuser(),
        identity=f"demo-{behind.name}.eu",
        host_key=behind.server.public,
    )
