"""`dev:` of a contract: what the application is. See model.py."""

from __future__ import annotations

from pydantic import Field

from constructs_lib.contracts import fields as f
from constructs_lib.spec import fields as sf
from constructs_lib.spec.group import Group


class RuntimeSpec(Group):
    """The language's own runtime, whose limits are derived from `ops.memory_mib` and `ops.cpus`."""

    kind: f.RuntimeKind
    """jvm gets JAVA_TOOL_OPTIONS, node NODE_OPTIONS, go GOMEMLIMIT and GOMAXPROCS, python one worker for each
    CPU (WEB_CONCURRENCY) and output without a buffer.
    """
    heap_percent: f.Percent | None = None
    """The heap's share of the memory; the default is 60 for jvm, 75 for node and 90 for go."""


class HealthSpec(Group):
    """The restart check: an instance that fails it is killed and started anew, so it is lax."""

    path: f.Path | None = None
    """HTTP: any answer from 200 to 399 is healthy. One of path, tcp and command."""
    tcp: sf.Switch = False
    """True: that the port takes a connection is enough."""
    command: f.Command | None = None
    """A command in the container that ends with 0."""
    port: f.PortName | None = None
    """Which port; the default is `http`, else the first."""
    interval_seconds: f.Seconds = 10
    """How often it is asked."""
    timeout_seconds: f.Seconds = 5
    """How long an answer may take; shorter than the interval."""
    failures: f.Failures = 6
    """How many in a row end the instance."""
    grace_seconds: f.NoOrSomeSeconds = 300
    """How long after its start failures are not counted, until the first success."""
    restart: sf.Switch = True
    """False: whoever fails gets no requests and lives on. For path or tcp, at the home site alone."""


class ReadinessSpec(Group):
    """The route check: an instance that fails it gets no requests, and lives on; so it is strict."""

    path: f.Path | None = None
    """HTTP: any answer from 200 to 299 lets requests in. One of path and tcp."""
    tcp: sf.Switch = False
    """True: that the port takes a connection is enough."""
    port: f.PortName | None = None
    """Which port; the default is `http`, else the first."""
    interval_seconds: f.Seconds = 5
    """How often Consul asks."""
    timeout_seconds: f.Seconds = 2
    """How long an answer may take."""


class VolumeSpec(Group):
    """A folder that outlives the instance."""

    path: f.ContainerPath
    """Where it is in the container."""
    kind: f.VolumeKind = "local"
    """`local` is on the agent's own disk and stays there; `shared` is on the pool's shared file system."""
    read_only: sf.Switch = False
    """True mounts it without the right to write."""


class StateSpec(Group):
    """What the application keeps. Without it nothing survives an instance."""

    volumes: dict[f.VolumeName, VolumeSpec]
    """Folders by name."""


class MetricsSpec(Group):
    """Where Prometheus reads the application's metrics."""

    port: f.PortName | None = None
    """Which port; the default is `http`, else the first."""
    path: f.Path = "/metrics"
    """The page in Prometheus' text format."""


class LogsSpec(Group):
    """Standard output and error are the log; Mesos keeps them in the sandbox."""

    format: f.LogFormat = "text"
    """`json`: each line is one JSON object; said to log shippers by the label `clustermesos/logs`."""
    max_mib: f.LogMib = 20
    """How large Docker's own copy of the log grows before it is rotated."""


class DevSpec(Group):
    """What the application is; its developers answer for it."""

    image: sf.Image | None = None
    """The Docker image with its tag or digest; `latest` and no tag at all are refused."""
    allow_latest: sf.Switch = False
    """True takes `latest`, for which nobody can say later what ran."""
    command: f.Command | None = None
    """A shell command: without an image it runs on the agent itself, with one instead of its entry point."""
    args: tuple[f.Argument, ...] = ()
    """Arguments of the image's entry point; not beside command."""
    runtime: RuntimeSpec | None = None
    """The language's runtime, whose heap is derived from the memory."""
    ports: dict[f.PortName, f.Port] = {}
    """Name → port in the container; each gets a port of its own on the agent, which Consul knows."""
    host_ports: dict[f.PortName, f.HostPort] = {}
    """Name → the fixed port on the agent, where others can't ask Consul; within what agents offer."""
    udp_ports: tuple[f.PortName, ...] = ()
    """Those of the ports that are UDP."""
    health: HealthSpec | None = None
    """When an instance is to be started anew."""
    readiness: ReadinessSpec | None = None
    """When an instance gets requests; the default asks for health's path or port, strictly."""
    depends_on: tuple[f.ContractName, ...] = ()
    """Contracts that have to be healthy before this one is started."""
    env: dict[f.EnvName, f.EnvValue] = {}
    """Environment variables; all who may look at Marathon see them."""
    secrets: dict[f.EnvName, sf.SecretReference] = {}
    """Name → reference of cluster.yaml's `app_secrets`; the value is a file that NAME_FILE names."""
    state: StateSpec | None = None
    """What it keeps; without it the application is stateless."""
    metrics: MetricsSpec | None = None
    """Where its metrics are; without it Prometheus doesn't ask."""
    logs: LogsSpec = Field(default_factory=LogsSpec)
    """Form and size of the log."""
    stop_seconds: f.Seconds = 30
    """How long an instance may take to end after SIGTERM."""

    @property
    def main_port(self) -> str | None:
        """`http`, else the first port's name; None without ports."""
        return "http" if "http" in self.ports else next(iter(self.ports), None)

    @property
    def volumes(self) -> dict[str, VolumeSpec]:
        """Volumes by name; empty for the stateless."""
        return dict(self.state.volumes) if self.state else {}
