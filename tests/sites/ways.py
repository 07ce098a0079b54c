"""The operator's ways to the sites' Consuls, of which none is the link."""

from __future__ import annotations

import subprocess
from pathlib import Path

from constructs_lib.hooks.consul import Consul
from constructs_lib.hooks.deadline import Deadline
from constructs_lib.hooks.endpoints import Endpoints, planned
from constructs_lib.hooks.http import Client
from constructs_lib.hooks.patience import Patience
from constructs_lib.hooks.settings import FOLDER
from constructs_lib.plan.model import ClusterPlan
from tests.lab.asking import LONG, until
from tests.sites.machine import stop
from tests.sites.network import PYTHON, Network

PASSING = str(Path(__file__).with_name("passing.py"))


class Ways:
    """The operator's own way to each site's Consul, which is not the link between the sites."""

    def __init__(self, joined: Network, plan: ClusterPlan, server: str) -> None:
        self.joined, self.plan, self.server = joined, plan, server
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def socket(self, site: str) -> Path:
        return self.joined.machine(site, self.server).at("/run/operator.sock")

    def open(self, site: str) -> None:
        self.socket(site).unlink(missing_ok=True)
        machine = self.joined.machine(site, self.server)
        self.running[site] = machine.starts(PYTHON, PASSING, "/run/operator.sock", "8500")
        until(f"the way to {site} is open", LONG, self.socket(site).exists)

    def lose(self, site: str) -> None:
        if site in self.running:
            stop(self.running.pop(site))

    def consuls(self) -> dict[str, Consul]:
        """As an operator's commands ask them: those of other sites than home are not waited for for long."""
        programs = planned(self.plan)
        sockets = {
            one.where: self.socket(site) for site in self.joined.sites for one in programs[f"consul/{site}"]
        }
        ends = Endpoints(instances=programs, sockets=sockets)
        found = {}
        for site in self.joined.sites:
            target = ends.target(f"consul/{site}")
            token = self.joined.machine(site, self.server).at("/etc/consul/secrets/management").read_text()
            away = None if site == self.plan.sites[site].home else Patience().elsewhere()
            client = Client(target, Deadline(LONG), patience=away)
            found[site] = Consul(client, token.strip())
        return found

    def colours(self) -> dict[str, bytes]:
        return {
            site: consul.kv.get(f"{FOLDER}shop/colour")[1]["Value"] for site, consul in self.consuls().items()
        }
