"""What Registrator does for the simulated tasks, at a real Consul.

The rules are those of the lab's double (`simulator/services.py`): only published ports of containers, names
and tags from `SERVICE_…` in the environment, and the service goes when the container has died, not before.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from constructs_lib.simulator.cluster.world import Task, World
from constructs_lib.simulator.services import Rules, Service, services
from constructs_lib.simulator.web import ask

_AGAIN_SECONDS = 1.0
_LAST_SECONDS = 5.0


class Registering:
    """Follows a world's tasks; calls to Consul are made in their order, by a thread of their own."""

    def __init__(self, world: World, consul: str | Mapping[str, str], token: str | None = None) -> None:
        """Make it.

        Args:
            world: whose tasks.
            consul: the URL of a Consul agent, or region → URL.
            token: what may register there.
        """
        self._world = world
        self._consul = consul
        self._headers = {"X-Consul-Token": token} if token else {}
        self._known: dict[str, list[Service]] = {}
        self._calls: queue.Queue[tuple[str, str, Any] | None] = queue.Queue()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="registrator", daemon=True)

    def start(self) -> None:
        """Begin to register."""
        self._thread.start()

    def stop(self) -> None:
        """Take back everything that is registered, as far as Consul answers."""
        for id in list(self._known):
            self._remove(id)
        self._stopped.set()
        self._calls.put(None)
        if self._thread.is_alive():
            self._thread.join(timeout=_LAST_SECONDS)

    def watch(self, task: Task) -> None:
        """Follow what became of a task."""
        if task.framework != "marathon":
            return
        if task.state == "TASK_RUNNING" and task.id not in self._known:
            self._known[task.id] = services(
                container(task), Rules(ip=task.agent.hostname), task.agent.hostname
            )
            for service in self._known[task.id]:
                self._calls.put((self._url(task), "/v1/agent/service/register", service.registration()))
        elif task.ended:
            self._remove(task.id, self._url(task))

    def _remove(self, id: str, url: str | None = None) -> None:
        for service in self._known.pop(id, []):
            path = f"/v1/agent/service/deregister/{quote(service.id, safe='')}"
            for one in [url] if url else self._urls():
                self._calls.put((one, path, None))

    def _urls(self) -> list[str]:
        return [self._consul] if isinstance(self._consul, str) else list(self._consul.values())

    def _url(self, task: Task) -> str:
        if isinstance(self._consul, str):
            return self._consul
        return self._consul.get(task.agent.region or "") or next(iter(self._consul.values()))

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            url, path, body = call
            while not self._send(url, path, body) and not self._stopped.wait(_AGAIN_SECONDS):
                pass

    def _send(self, url: str, path: str, body: Any) -> bool:
        """Whether Consul took it; a service that it does not know is gone as well."""
        try:
            status, _ = ask(url + path, "PUT", body, self._headers)
        except OSError:
            return False
        return status in (200, 404)


def container(task: Task) -> dict[str, Any]:
    """The task's container, as `docker inspect` would show it."""
    spec = task.spec
    docker = (spec.get("container") or {}).get("docker") or {}
    mappings = (spec.get("container") or {}).get("portMappings") or []
    host_ports = iter(task.ports)
    ports: dict[str, Any] = {}
    for mapping in mappings:
        if mapping.get("hostPort") is None:
            continue
        port = next(host_ports)
        inside = mapping.get("containerPort") or port
        for protocol in str(mapping.get("protocol", "tcp")).split(","):
            ports[f"{inside}/{protocol}"] = [{"HostIp": "0.0.0.0", "HostPort": str(port)}]  # noqa: S104
    environment = [f"{name}={value}" for name, value in spec.get("env", {}).items() if isinstance(value, str)]
    environment += [
        f"MARATHON_APP_ID={task.owner}",
        f"MESOS_TASK_ID={task.id}",
        f"HOST={task.agent.hostname}",
    ]
    return {
        "Name": f"/mesos-{task.id.partition('.instance-')[2].partition('.')[0]}",
        "Config": {"Image": docker.get("image", ""), "Env": environment, "Labels": {}},
        "NetworkSettings": {"Ports": ports, "Networks": {}},
    }
