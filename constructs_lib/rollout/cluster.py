"""The nodes of a cluster as an operator means them: what each is to have, and the way to it."""

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from constructs_lib.access.person import person
from constructs_lib.components.model import Role
from constructs_lib.errors import RollError
from constructs_lib.plan.growth import Growth, as_locked, growths, with_quorum
from constructs_lib.plan.lock import read_lock
from constructs_lib.plan.model import ClusterPlan
from constructs_lib.plan.plan import plan
from constructs_lib.roll.gate import CommandGate, SshGate
from constructs_lib.roll.site import Say, Site, stack_folders, write_ssh
from constructs_lib.rollout.gates import Gates
from constructs_lib.rollout.lease import Lease
from constructs_lib.rollout.remote import NodeShell
from constructs_lib.rollout.run import Rollout
from constructs_lib.rollout.survey import NodeState, survey
from constructs_lib.rollout.targets import (
    Target,
    agents,
    chosen,
    in_order,
    list_agents,
    planned,
    pools_to_list,
)
from constructs_lib.rollout.wanted import secret_source, wanted
from constructs_lib.secrets.ensure import VARIABLE_PREFIX
from constructs_lib.secrets.store import read_store
from constructs_lib.spec.load import load
from constructs_lib.spec.workspace import Workspace


@dataclass(frozen=True, kw_only=True)
class Nodes:
    """The nodes that an operator means, over all sites that they mean."""

    cluster: ClusterPlan
    growing: Sequence[Growth]
    """Sites whose masters first have to learn a new quorum; their plan here is the one for that."""
    sites: Mapping[str, Site]
    targets: Sequence[Target]
    """Those that are meant, in the order in which they are changed."""
    everyone: Sequence[Target]
    """All that are deployed and were asked for, meant or not."""
    absent: Mapping[str, str]
    """Planned nodes that are not deployed, and why they are left out."""
    values: Mapping[str, str]
    """Secrets by name, where they are to be had here."""
    digests: Mapping[str, str]
    """Site → what all of its nodes are to have, in short."""

    @classmethod
    def find(
        cls, workspace: Workspace, outdir: Path, words: Sequence[str], *, site: str | None, say: Say
    ) -> Nodes:
        """Read cluster.yaml, the lock and what was deployed, and write the SSH files.

        `words` name nodes, roles and pools, none means all; `site` leaves the other sites out. SpecError for
        names that mean nothing, RollError for a site that can't be reached, ToolError from the tools.
        """
        spec, lock = load(workspace.cluster_file), read_lock(workspace.lock_file)
        growing = growths(spec, lock)
        cluster = with_quorum(plan(as_locked(spec, growing), lock), growing)
        names = [cluster.site(site).name] if site else list(cluster.sites)
        stacks = stack_folders(cluster, outdir)
        sites = {
            name: Site(cluster=cluster, plan=cluster.site(name), workspace=workspace, stacks=stacks, say=say)
            for name in names
        }
        parts = {name: _part(found, words) for name, found in sites.items()}
        write_ssh(
            cluster, workspace, stacks, os.environ, agents={name: one.agents for name, one in parts.items()}
        )
        everyone = [target for part in parts.values() for target in part.targets]
        return cls(
            cluster=cluster,
            growing=tuple(growth for growth in growing if growth.site in sites),
            sites=sites,
            targets=in_order(chosen(everyone, words)),
            everyone=everyone,
            absent={} if words else {k: v for part in parts.values() for k, v in part.absent.items()},
            values=_values(cluster, workspace),
            digests={name: part.digest for name, part in parts.items()},
        )

    def survey(self) -> tuple[NodeState, ...]:
        """What each of those that are meant has now."""
        return survey(self.targets, self.shell, self.values)

    def shell(self, target: Target) -> NodeShell:
        """The way to a node."""
        return NodeShell(ssh=self.sites[target.site].ssh, login=target.machine.login)

    def lease(self, site: str) -> Lease:
        """The site's lock, at its gateway."""
        gateway = next(one for one in self.everyone if (one.site, one.role) == (site, Role.GATEWAY))
        return Lease(self.shell(gateway), f"{_who()}, since {datetime.now(UTC):%H:%M} UTC,")

    def rollout(self, site: str, lease: Lease, *, gate: str | None, gate_timeout: float, say: Say) -> Rollout:
        """What changes the nodes of a site; `gate` is a shell command to ask instead of each node."""
        asked = SshGate(ssh=self.sites[site].ssh)

        def patient(target: Target) -> NodeShell:
            return replace(self.shell(target), patience=int(gate_timeout))

        gates = Gates(
            gate=CommandGate(command=gate) if gate else asked,
            timeout=gate_timeout,
            everyone=[one for one in self.everyone if one.site == site],
            leads=asked.leads,
            say=say,
        )
        return Rollout(
            gates=gates,
            shell_of=patient,
            values=self.values,
            lease=lease,
            rollout_id=self.digests[site][:12],
            who=_who(),
            say=say,
            grows_from=next((growth.old for growth in self.growing if growth.site == site), None),
        )

    def masters(self) -> tuple[NodeState, ...]:
        """What all masters of the growing sites have now, whichever nodes are meant."""
        sites = [growth.site for growth in self.growing]
        found = [one for one in self.everyone if one.role is Role.MASTER and one.site in sites]
        return survey(found, self.shell, self.values)

    def missing(self, site: str, role: Role) -> tuple[str, ...]:
        """The planned nodes of a role that are not deployed."""
        there = {one.name for one in self.everyone if one.site == site}
        return tuple(n.name for n in self.sites[site].plan.nodes_of(role) if n.name not in there)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One site's share; `agents` are the addresses of machines by their names."""

    targets: Sequence[Target]
    absent: Mapping[str, str]
    agents: Mapping[str, str]
    digest: str = ""


def _part(site: Site, words: Sequence[str]) -> _Part:
    """The site's nodes that are deployed, and those that are not."""
    deployed = site.deployed()
    there = deployed.nodes if deployed else {}
    absent = {
        f"{node.name}.{site.plan.name}": "planned, not deployed yet: cdktf deploy"
        for node in site.plan.nodes
        if node.name not in there
    }
    if deployed is None:
        return _Part(targets=(), absent=absent, agents={})
    if deployed.gateway is None:
        raise RollError(f"{site.plan.name}: has no gateway, so no node is reached from here")
    source = secret_source(site.plan)
    found = planned(site, deployed, source)
    pools = [pool.name for pool in pools_to_list(site.plan, words, found) if pool.name in deployed.pools]
    machines = {pool: list_agents(site.plan, deployed, pool) for pool in pools}
    found += agents(site, deployed, source, machines)
    addresses = {agent.id: agent.address for group in machines.values() for agent in group if agent.address}
    # Over all pools, listed or not: a rollout is the same one whichever of its nodes are named.
    pooled = [wanted(site.plan, pool, source, deployed.late_values) for pool in site.plan.pools]
    fixed = [target.generation for target in found if target.pool is None]
    whole = "".join(generation.digest for generation in (*fixed, *pooled))
    return _Part(
        targets=found,
        absent=absent,
        agents=addresses,
        digest=hashlib.sha256(whole.encode()).hexdigest(),
    )


def _values(cluster: ClusterPlan, workspace: Workspace) -> dict[str, str]:
    """The secrets that are to be had here, by name; used to compare, never shown."""
    held = read_store(workspace.secrets_file)
    names = [secret.name for secret in cluster.secrets]
    found = {name: os.environ.get(f"{VARIABLE_PREFIX}{name}") or held.get(name) for name in names}
    return {name: value for name, value in found.items() if value}


def _who() -> str:
    return f"{person()}@{socket.gethostname()}"
