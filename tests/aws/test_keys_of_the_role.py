"""Which containers get keys of the agent's role: three namespaces, a metadata service, and restic.

The cloud, an agent, and a task behind its bridge, for which the agent forwards packets as Docker has it do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from constructs_lib.aws.machines import METADATA
from tests.aws import cloud_program
from tests.aws.cloud_program import KEY
from tests.conftest import need
from tests.contracts.backups import Machine, machine

pytestmark = [pytest.mark.root, pytest.mark.slow]
HOPS = int(str(METADATA["http_put_response_hop_limit"]))
SPACES = ("cloud", "agent", "task")
NETWORK = """
for space in cloud agent task; do
  ip netns add $name-$space
  ip -n $name-$space link set lo up
done
ip link add name ${name}c netns $name-cloud type veth peer name ${name}a netns $name-agent
ip link add name ${name}b netns $name-agent type veth peer name ${name}t netns $name-task
ip -n $name-cloud address add 169.254.169.254/32 dev lo
ip -n $name-cloud address add 10.9.0.1/24 dev ${name}c
ip -n $name-agent address add 10.9.0.9/24 dev ${name}a
ip -n $name-agent address add 172.17.0.1/16 dev ${name}b
ip -n $name-task address add 172.17.0.2/16 dev ${name}t
ip -n $name-cloud link set ${name}c up
ip -n $name-agent link set ${name}a up
ip -n $name-agent link set ${name}b up
ip -n $name-task link set ${name}t up
ip -n $name-agent route add default via 10.9.0.1
ip -n $name-task route add default via 172.17.0.1
ip -n $name-cloud route add 172.17.0.0/16 via 10.9.0.9
ip netns exec $name-agent sysctl -qw net.ipv4.ip_forward=1
"""


@dataclass(frozen=True)
class Cloud:
    """The namespaces, and what S3 was asked."""

    name: str
    asked: Path

    def within(self, space: str) -> list[str]:
        """What a command in a namespace begins with."""
        return ["ip", "netns", "exec", f"{self.name}-{space}"]

    def asked_from(self, space: str, shop: Machine) -> list[str]:
        """Who signed what S3 is asked by a job that brings no keys, in that namespace."""
        host, port = cloud_program.S3
        done = subprocess.run(
            [*self.within(space), "restic", "--no-lock", "cat", "config"],
            env={**shop.environment(), "RESTIC_REPOSITORY": f"s3:http://{host}:{port}/saved/demo/shop"},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode != 0, "nobody may do anything there"
        return self.asked.read_text(encoding="utf-8").splitlines() if self.asked.exists() else []


@contextmanager
def cloud(folder: Path, hops: int) -> Iterator[Cloud]:
    """A metadata service whose packets live so many hops; all ends with the block."""
    need("ip")
    found = Cloud(f"cm{os.getpid()}", folder / "asked")
    program = None
    try:
        subprocess.run(["sh", "-euc", NETWORK], env={**os.environ, "name": found.name}, check=True)
        words = [sys.executable, cloud_program.__file__, str(hops), str(found.asked)]
        program = subprocess.Popen([*found.within("cloud"), *words], stdout=subprocess.PIPE, text=True)
        assert program.stdout and program.stdout.readline() == "ready\n"
        yield found
    finally:
        if program:
            program.kill()
            program.communicate()
        for space in SPACES:
            subprocess.run(["ip", "netns", "delete", f"{found.name}-{space}"], check=False)


@pytest.fixture
def shop(root: None, tmp_path: Path) -> Machine:
    return machine(tmp_path)


def test_a_backup_job_is_on_the_agents_network_and_has_the_keys_of_its_role(
    shop: Machine, tmp_path: Path
) -> None:
    for job in shop.jobs.values():
        assert job["container"]["network"] == "HOST"
    with cloud(tmp_path, HOPS) as found:
        asked = found.asked_from("agent", shop)
    assert asked and all(f"Credential={KEY}/" in line for line in asked)


def test_a_container_behind_the_agents_bridge_has_none(shop: Machine, tmp_path: Path) -> None:
    with cloud(tmp_path, HOPS) as found:
        assert not any(KEY in line for line in found.asked_from("task", shop))


def test_it_is_the_hop_limit_that_keeps_them_from_it(shop: Machine, tmp_path: Path) -> None:
    with cloud(tmp_path, HOPS + 1) as found:
        assert any(KEY in line for line in found.asked_from("task", shop))
