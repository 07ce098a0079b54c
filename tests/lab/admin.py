"""An operator outside of a lab: real ssh from an admin network through the lab's gateway."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from constructs_lib.access.deployed import Deployed, DeployedGateway, DeployedNode, Login
from constructs_lib.access.host_keys import public_host_key
from constructs_lib.access.ssh import Ssh
from constructs_lib.access.ssh_config import Folder, hosts_of, write
from constructs_lib.components.model import Role
from constructs_lib.lab.keeper import KeptLab, lab_folder
from constructs_lib.lab.network import ROUTER
from constructs_lib.lab.overrides import OVERRIDES_FILE, read_overrides
from constructs_lib.lab.own_secrets import own_secrets
from constructs_lib.lab.texts import SECRET_SOURCE, late_value
from constructs_lib.plan.lock import read_lock
from constructs_lib.plan.model import ClusterPlan, PoolPlan, SitePlan
from constructs_lib.plan.plan import plan
from constructs_lib.roll.gate import Machine, SshGate
from constructs_lib.rollout.gates import Gates
from constructs_lib.rollout.lease import Lease
from constructs_lib.rollout.remote import NodeShell
from constructs_lib.rollout.run import Rollout, last_first, of_the_last_rollout
from constructs_lib.rollout.survey import NodeState, survey
from constructs_lib.rollout.targets import Target, in_order
from constructs_lib.rollout.wanted import Generation, wanted
from constructs_lib.secrets.values import new_value
from constructs_lib.spec.model import ClusterSpec
from constructs_lib.spec.workspace import Workspace
from tests.lab.asking import LONG, says, seen

ADMIN_ADDRESS = "203.0.113.5"
GATE_SECONDS = 300
SSH = """#!/bin/sh
# ssh from the lab's router, where an admin network begins.
exec nsenter --target {keeper} --mount nsenter --net=/run/netns/{router} ssh "$@"
"""


@dataclass
class Operator:
    """Knows the lab's cluster.yaml as `spec`, and changes its nodes as `clustermesos nodes` does."""

    lab: KeptLab
    workspace: Workspace
    spec: ClusterSpec
    said: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    patience: int = GATE_SECONDS
    """Seconds that a node waits for each of its own components."""

    def __post_init__(self) -> None:
        self.overrides = read_overrides(OVERRIDES_FILE)
        self.plan = self._planned(self.spec)
        self.folder = Folder(self.workspace.private)
        key = self._key()
        for name in self.lab.names():
            self.let_in(name)
        self.lab.reach(None, "ip", "address", "replace", f"{ADMIN_ADDRESS}/32", "dev", "lo")
        here = ("ip", "route", "replace", str(self.plan.network), "dev", "br0", "src", ADMIN_ADDRESS)
        assert self.lab.reach(None, *here).code == 0
        program = self.workspace.private / "ssh-from-admin-network"
        program.write_text(SSH.format(keeper=_keeper(self.workspace), router=ROUTER))
        program.chmod(0o700)
        # A machine that a drill made anew has another id on a platform, so its host key is learnt anew.
        self.folder.known_nodes.unlink(missing_ok=True)
        write(
            hosts_of([self._deployed()], {"eu": self._gateway_key()}, {"eu": self._agents()}),
            self.folder,
            identity_file=key,
        )
        self.ssh = Ssh(folder=self.folder, program=str(program), environ=dict(os.environ))

    def planned(self, spec: ClusterSpec) -> ClusterPlan:
        """The whole cluster by `spec`, with the lab's software."""
        return plan(self.overrides.apply(spec), read_lock(self.workspace.lock_file))

    def _planned(self, spec: ClusterSpec) -> SitePlan:
        return self.planned(spec).site("eu")

    def _key(self) -> Path:
        file = self.workspace.private / "id_ed25519"
        if not file.exists():
            file.write_text(new_value("ssh_host_key"))
            file.chmod(0o600)
        return file

    def let_in(self, name: str) -> None:
        """Let the operator log in, by a file that sshd reads too and no generation owns."""
        home = f"/home/{self.plan.admin.user}/.ssh"
        put = f"cat > {home}/authorized_keys2; chown {self.plan.admin.user}: {home}/authorized_keys2"
        public = public_host_key(self._key().read_text())
        done = self.lab.run(name, "sh", "-c", put, stdin=f"{public}\n")
        assert done.code == 0, done.err

    def _gateway_key(self) -> str:
        path = "/etc/ssh/clustermesos_host_ed25519_key"
        return seen(path, LONG, partial(says, self.lab, "gateway-1", "ssh-keygen", "-y", "-f", path))

    def _agents(self) -> dict[str, str]:
        agents = [name for name in self.lab.names() if self.lab.identity(name).role == Role.AGENT]
        return {name: str(self.lab.identity(name).address) for name in agents}

    def _deployed(self) -> Deployed:
        gateway = self.plan.nodes_of(Role.GATEWAY)[0]
        address = str(gateway.address)
        return Deployed(
            cluster=self.plan.cluster,
            site="eu",
            platform="lab",
            nodes={
                node.name: DeployedNode(role=node.role, zone=node.zone.name, address=str(node.address))
                for node in self.plan.nodes
            },
            gateway=DeployedGateway(name=gateway.name, address=address, public_address=address),
            login=Login(user=self.plan.admin.user),
        )

    def targets(
        self, spec: ClusterSpec, edit: Mapping[str, tuple[str, str]] | None = None
    ) -> tuple[Target, ...]:
        """What each node is to have by `spec`; `edit` puts another text for one in a file, by its path."""
        return self.targets_of(self._planned(spec), edit)

    def targets_of(
        self, planned: SitePlan, edit: Mapping[str, tuple[str, str]] | None = None
    ) -> tuple[Target, ...]:
        """What each node is to have by this plan."""
        late = {value.name: late_value(planned, value.name) for value in planned.late_values}
        pools: dict[str, PoolPlan] = {pool.name: pool for pool in planned.pools}
        found = []
        for name in self.lab.names():
            identity = self.lab.identity(name)
            role = Role(identity.role)
            pool = pools[name.rpartition("-")[0]] if role is Role.AGENT else None
            node = pool or planned.node(name)
            generation = wanted(planned, node, SECRET_SOURCE, late, without=self.overrides.without)
            machine = Machine(
                name=name,
                address=str(identity.address),
                role=role.value,
                cluster=planned.cluster,
                login=f"{name}.eu",
            )
            found.append(
                Target(
                    site="eu",
                    name=name,
                    role=role,
                    machine=machine,
                    generation=_edited(generation, edit or {}),
                    pool=pool.name if pool else None,
                )
            )
        return in_order(found)

    def hand_out(self, spec: ClusterSpec) -> dict[str, str]:
        """All secrets of `spec` by name, made where there are none; each machine can get its own."""
        planned = self.planned(spec)
        everything = dict(own_secrets(planned.secrets, lab_folder(self.workspace) / "secrets.json"))
        for machine in self.lab.names():
            own = {one.name for one in planned.site("eu").secrets_of(Role(self.lab.identity(machine).role))}
            self.lab.hand_out(machine, {name: value for name, value in everything.items() if name in own})
        return everything

    def shell(self, target: Target) -> NodeShell:
        return NodeShell(ssh=self.ssh, login=target.machine.login, patience=self.patience)

    def states(self, targets: Sequence[Target]) -> tuple[NodeState, ...]:
        """How all of them are; waits until each of them answers."""
        return seen(
            "every node answers over SSH",
            LONG,
            lambda: survey(targets, self.shell, self.values),
            lambda states: not any(state.trouble for state in states),
        )

    def apply(self, targets: Sequence[Target]) -> tuple[str, ...]:
        behind = [state for state in self.states(targets) if state.changes]
        with self._lease() as lease:
            return self._rollout(targets, lease).apply(behind)

    def back(self, targets: Sequence[Target]) -> tuple[str, ...]:
        """The last rollout."""
        with self._lease() as lease:
            return self._rollout(targets, lease).back(last_first(of_the_last_rollout(self.states(targets))))

    def _lease(self) -> Lease:
        return Lease(NodeShell(ssh=self.ssh, login="gateway-1.eu"), "operator@lab")

    def _rollout(self, targets: Sequence[Target], lease: Lease) -> Rollout:
        gate = SshGate(ssh=self.ssh)
        gates = Gates(
            gate=gate, timeout=GATE_SECONDS, everyone=targets, leads=gate.leads, say=self.said.append
        )
        return Rollout(
            gates=gates,
            shell_of=self.shell,
            values=self.values,
            lease=lease,
            rollout_id=json.dumps(sorted(target.generation.digest for target in targets))[:200],
            who="operator@lab",
            say=self.said.append,
        )

    def new_secret(self, name: str) -> None:
        """Rotate it in the lab's own file, and where the machines of its roles get it from."""
        kept = lab_folder(self.workspace) / "secrets.json"
        everything = json.loads(kept.read_text())
        secrets = everything["secrets"]
        secret = next(one for one in self.plan.secrets if one.name == name)
        secrets[name] = self.values[name] = new_value(secret.declared.kind)
        kept.write_text(json.dumps(everything))
        for machine in self.lab.names():
            role = Role(self.lab.identity(machine).role)
            own = {one.name for one in self.plan.secrets_of(role)}
            if role in secret.declared.roles:
                self.lab.hand_out(machine, {key: value for key, value in secrets.items() if key in own})


def _edited(generation: Generation, edit: Mapping[str, tuple[str, str]]) -> Generation:
    files = dict(generation.files)
    for path, (old, new) in edit.items():
        if path in files:
            assert old in files[path]
            files[path] = files[path].replace(old, new)
    return Generation(manifest=generation.manifest, files=files)


def _keeper(workspace: Workspace) -> int:
    """The process that holds the lab's namespaces."""
    mine = str(workspace.cluster_file.resolve()).encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"constructs_lib.lab.keeper" in words and mine in b"".join(words) and b"unshare" not in words[0]:
            return int(process.name)
    raise AssertionError("no keeper of this lab runs")
