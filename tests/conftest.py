"""What every test may use: the tools under .tools/, the AWS API double, and two rules.

No test talks to another machine. And nothing is skipped silently in CI: with CI set, a skipped test that
tests/allowed_skips.txt does not name fails the run.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

import pytest
from hypothesis import HealthCheck, settings

from scripts import cdktf
from scripts.embedded_aws import HOST, EmbeddedAws, free_port
from scripts.tools import TOOLS
from tests.skip_policy import SkipPolicy

ALLOWED_SKIPS = Path(__file__).with_name("allowed_skips.txt")
# Neither an example nor making ten of them has to be fast: what is slow is the machine.
settings.register_profile(
    "any machine", parent=settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
_LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse every connection of the test's own process to another machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not str(address[0]).startswith(_LOOPBACK):
            raise AssertionError(f"a test tried to reach {address[0]}:{address[1]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


def need(program: str) -> Path:
    """The path of a system program; the test is skipped by name where the machine lacks it."""
    found = shutil.which(program, path=os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"{program} is not installed: sudo scripts/system_packages.sh")
    return Path(found)


def tool(name: str) -> Path:
    """The path of a command of .tools/; the test is skipped by name where it is not installed."""
    path = TOOLS / "bin" / name
    if not path.exists():
        pytest.skip(f"{name} is not installed: make tools")
    return path


@pytest.fixture(scope="session")
def terraform() -> Path:
    """The terraform command of .tools/; run it with :func:`tool_environment`."""
    return tool("terraform")


@pytest.fixture(scope="session")
def checkov() -> Path:
    """The checkov command of .tools/."""
    return tool("checkov")


@pytest.fixture(scope="session")
def cdktf_command() -> Path:
    """The cdktf command of .tools/; run it with :func:`tool_environment`."""
    return tool("cdktf")


@pytest.fixture(scope="session")
def consul() -> Path:
    """The consul command of .tools/, built from its Go module."""
    return tool("consul")


@pytest.fixture(scope="session")
def zookeeper_jars() -> str:
    """The class path of ZooKeeper; its main class is org.apache.zookeeper.server.quorum.QuorumPeerMain."""
    need("java")
    if not (TOOLS / "zookeeper").exists():
        pytest.skip("ZooKeeper's jars are not installed: make tools")
    return str(TOOLS / "zookeeper" / "*")


@pytest.fixture
def tool_environment() -> dict[str, str]:
    """Variables for terraform and cdktf: the plugin mirror, dummy credentials, none of the user's AWS."""
    return cdktf.environment()


@pytest.fixture
def root() -> None:
    """The test needs to be root; others skip it by name."""
    if os.geteuid() != 0:
        pytest.skip("needs root")


@dataclass(frozen=True)
class AwsDouble:
    """moto, an AWS API double, on a port of this machine.

    Attributes:
        port: its port on 127.0.0.1.
    """

    port: int

    @property
    def endpoint(self) -> str:
        """What cluster.yaml names as ``aws.endpoint``."""
        return f"http://{HOST}:{self.port}"

    def client(self, service: str, region: str = "eu-west-3") -> Any:
        """A boto3 client of the double."""
        import boto3

        return boto3.Session("demo", "demo", region_name=region).client(
            service,  # type: ignore[call-overload]  # one overload for each literal name
            endpoint_url=self.endpoint,
        )

    def reset(self) -> None:
        """Make it forget everything."""
        request = Request(f"{self.endpoint}/moto-api/reset", method="POST")
        with build_opener(ProxyHandler({})).open(request, timeout=180) as reply:
            assert reply.status == 200


@contextmanager
def running_aws(folder: Path) -> Iterator[AwsDouble]:
    """A double of its own, in a process that ends with the block; its log is in `folder`."""
    double = EmbeddedAws(folder)
    port = free_port()
    double.start(port)
    try:
        yield AwsDouble(port)
    finally:
        double.stop()


@pytest.fixture(scope="session")
def aws_double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AwsDouble]:
    """One double for the whole run, in a process of its own; what earlier tests made is still there."""
    with running_aws(tmp_path_factory.mktemp("aws-double")) as double:
        yield double


@pytest.fixture
def embedded_aws(aws_double: AwsDouble) -> AwsDouble:
    """The double, empty."""
    aws_double.reset()
    return aws_double


def pytest_configure(config: pytest.Config) -> None:
    """In CI, count skips. Have Ctrl-C work in what tests start, also where this run is in the background."""
    # A shell has its background jobs ignore the signal, and so all that they start.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("CI", "").lower() not in ("", "0", "false"):
        config.pluginmanager.register(SkipPolicy(ALLOWED_SKIPS), "skip-policy")
