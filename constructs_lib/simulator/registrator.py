"""The double of Registrator: it does the real one's whole work, for Consul, with fewer corners.

Containers' published ports become services of the local Consul agent, and go when the container dies.
"""

from __future__ import annotations

import re
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from constructs_lib.simulator.docker_api import Docker, DockerError
from constructs_lib.simulator.double import REGISTRATOR_VERSION, Log, RefusedError, Stop, notice, run_program
from constructs_lib.simulator.flags import Given, go, table
from constructs_lib.simulator.services import Rules, Service, services
from constructs_lib.simulator.web import ask

_OURS = re.compile(r"(.+?):([a-zA-Z0-9][a-zA-Z0-9_.-]+):[0-9]+(?::udp)?")
_SIGNALED = 128


@dataclass(frozen=True)
class Settings:
    """Registrator's flags, checked."""

    flags: Given
    rules: Rules
    docker: Docker
    consul: str


def read_settings(arguments: Sequence[str], environ: Mapping[str, str]) -> Settings:
    """The settings of `registrator ARGUMENTS URI`.

    Raises:
        RefusedError: what Registrator would end with.
    """
    flags, rest = go(table("registrator"), arguments)
    if not rest:
        raise RefusedError("Missing required argument for registry URI.", 2)
    if len(rest) > 1:
        raise RefusedError(
            f"Extra unparsed arguments: {' '.join(rest[1:])}. Options should come before the URI", 2
        )
    ttl, refresh = flags.get("ttl", 0), flags.get("ttl-refresh", 0)
    if (ttl == 0) != (refresh == 0):
        raise RefusedError("-ttl and -ttl-refresh must be specified together or not at all")
    if ttl and ttl <= refresh:
        raise RefusedError("-ttl must be greater than -ttl-refresh")
    if flags.get("retry-interval", 2000) <= 0:
        raise RefusedError("-retry-interval must be greater than 0")
    if flags.get("deregister", "always") not in ("always", "on-success"):
        raise RefusedError('-deregister must be "always" or "on-success"')
    uri = urlsplit(rest[0])
    if uri.scheme != "consul":
        raise RefusedError(f"unrecognized adapter: {rest[0]} (this double knows consul:// alone)")
    try:
        docker = Docker(environ.get("DOCKER_HOST") or "unix:///tmp/docker.sock")
    except ValueError as error:
        raise RefusedError(str(error)) from None
    rules = Rules(
        ip=flags.get("ip", ""),
        internal=flags.get("internal", False),
        explicit=flags.get("explicit", False),
        tags=flags.get("tags", ""),
        ip_from_label=flags.get("useIpFromLabel", ""),
    )
    return Settings(flags, rules, docker, f"http://{uri.netloc or '127.0.0.1:8500'}")


class Consul:
    """The local Consul agent, with the token of `CONSUL_HTTP_TOKEN`."""

    def __init__(self, base: str, token: str | None) -> None:
        self._base = base
        self._headers = {"X-Consul-Token": token} if token else {}

    def call(self, path: str, method: str = "GET", body: object = None) -> Any:
        """The answer of a 200; OSError for everything else, without the token in it."""
        status, answer = ask(f"{self._base}{path}", method, body, self._headers)
        if status != 200:
            raise OSError(f"Unexpected response code: {status} ({str(answer).strip()[:120]})")
        return answer


class Bridge:
    """What Registrator knows: container id → its registered services."""

    def __init__(self, settings: Settings, consul: Consul, log: Log, hostname: str) -> None:
        self._settings = settings
        self._consul = consul
        self._log = log
        self._hostname = hostname
        self._known: dict[str, list[Service]] = {}
        self._lock = threading.Lock()

    def add(self, id: str) -> None:
        """Register a container that started."""
        with self._lock:
            self._add(id)

    def _add(self, id: str) -> None:
        if id in self._known:
            return
        container = self._settings.docker.inspect(id)
        if container is None:
            return self._log(f"unable to inspect container: {id[:12]}", "W")
        found = services(container, self._settings.rules, self._hostname)
        if not found:
            return self._log(f"ignored: {id[:12]} no published ports")
        for service in found:
            if self._register(service):
                self._known.setdefault(id, []).append(service)
                self._log(f"added: {id[:12]} {service.id}")

    def _register(self, service: Service) -> bool:
        try:
            body = service.registration(self._settings.flags.get("ttl", 0))
            self._consul.call("/v1/agent/service/register", "PUT", body)
        except OSError as error:
            self._log(f"register failed: {service.id} {error}", "E")
            return False
        return True

    def remove(self, id: str, *, exited: bool) -> None:
        """Deregister a container that died or vanished."""
        with self._lock:
            if exited and not self._should_remove(id):
                self._known.pop(id, None)
                return
            for service in self._known.pop(id, []):
                self._deregister(service.id)

    def _should_remove(self, id: str) -> bool:
        if self._settings.flags.get("deregister", "always") == "always":
            return True
        container = self._settings.docker.inspect(id)
        if container is None:
            return True
        code = container["State"].get("ExitCode", 0)
        return not container["State"].get("Running") and (code == 0 or code & _SIGNALED == _SIGNALED)

    def _deregister(self, id: str) -> None:
        try:
            self._consul.call(f"/v1/agent/service/deregister/{quote(id, safe='')}", "PUT")
            self._log(f"removed: {id}")
        except OSError as error:
            self._log(f"deregister failed: {id} {error}", "E")

    def sync(self) -> None:
        """Register every running container, and with `-cleanup` deregister what is left of former ones.

        Raises:
            DockerError: Docker does not answer.
        """
        running = {one["Id"] for one in self._settings.docker.containers()}
        with self._lock:
            for id in running:
                if id not in self._known:
                    self._add(id)
                else:
                    for service in self._known[id]:
                        self._register(service)
        if self._settings.flags.get("cleanup"):
            for id in set(self._known) - running:
                self.remove(id, exited=True)
            with self._lock:
                self._remove_dangling()

    def _remove_dangling(self) -> None:
        try:
            registered = self._consul.call("/v1/agent/services")
        except OSError as error:
            return self._log(f"cleanup failed: {error}", "E")
        ours = {service.id for found in self._known.values() for service in found}
        for id in registered:
            match = _OURS.fullmatch(id)
            if match is not None and match[1] == self._hostname and id not in ours:
                self._log(f"dangling: {id}")
                self._deregister(id)

    def refresh(self) -> None:
        """Tell Consul that everything with a TTL is still there."""
        with self._lock:
            for service in (one for found in self._known.values() for one in found):
                try:
                    self._consul.call(
                        f"/v1/agent/check/pass/{quote('service:' + service.id, safe='')}", "PUT"
                    )
                except OSError as error:
                    self._log(f"refresh failed: {service.id} {error}", "E")


def run(arguments: Sequence[str], environ: Mapping[str, str], log: Log, stop: Stop) -> None:
    """Be a Registrator until `stop`, or until Docker's event stream closes."""
    settings = read_settings(arguments, environ)
    flags = settings.flags
    consul = Consul(settings.consul, environ.get("CONSUL_HTTP_TOKEN"))
    _wait_for_consul(consul, settings, log, stop)
    bridge = Bridge(settings, consul, log, socket.gethostname())
    refusals: list[str] = []

    def listen() -> None:
        try:
            for event in settings.docker.events():
                if event.get("status") == "start":
                    bridge.add(event["id"])
                elif event.get("status") == "die":
                    bridge.remove(event["id"], exited=True)
        except DockerError as error:
            log(str(error), "E")
        refusals.append("Docker event loop closed")
        stop.now(1)

    def each(seconds: int, work: Callable[[], None]) -> None:
        while not stop.wait(seconds):
            try:
                work()
            except DockerError as error:
                log(f"error listing containers, skipping sync: {error}", "W")

    threading.Thread(target=listen, daemon=True).start()
    log("Listening for Docker events ...")
    try:
        bridge.sync()
    except DockerError as error:
        raise RefusedError(str(error)) from None
    for seconds, work in (
        (flags.get("ttl-refresh", 0), bridge.refresh),
        (flags.get("resync", 0), bridge.sync),
    ):
        if seconds > 0:
            threading.Thread(target=each, args=(seconds, work), daemon=True).start()
    stop.wait()
    if refusals:
        raise RefusedError(refusals[0])


def _wait_for_consul(consul: Consul, settings: Settings, log: Log, stop: Stop) -> None:
    attempts, attempt = settings.flags.get("retry-attempts", 0), 0
    while True:
        log(f"Connecting to backend ({attempt}/{attempts})")
        try:
            leader = consul.call("/v1/status/leader")
            return log(f"consul: current leader {leader}")
        except OSError as error:
            why = str(error)
        if attempt == attempts:
            raise RefusedError(f"consul at {settings.consul} does not answer: {why}")
        attempt += 1
        if stop.wait(settings.flags.get("retry-interval", 2000) / 1000):
            return None


def main() -> int:
    """The program `registrator`."""
    if sys.argv[1:] in (["--version"], ["-version"]):
        print(f"{REGISTRATOR_VERSION}\n{notice('registrator')}")
        return 0
    return run_program("registrator", run)
