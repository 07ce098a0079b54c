"""Marathon's HTTP API as far as health checks and deploy hooks use it; apps are kept in ZooKeeper.

A deployment takes two seconds, or for ever while Mesos does not know the framework. Nothing is launched: an
app's `tasksRunning` is what a cluster with room for it would show.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from constructs_lib.simulator.app_rules import DEFAULTS, problems
from constructs_lib.simulator.app_shape import invalid, locked, no_app, no_json
from constructs_lib.simulator.double import MARATHON_VERSION, notice
from constructs_lib.simulator.flags import Given
from constructs_lib.simulator.framework import Framework
from constructs_lib.simulator.web import Answer, Question

_DEPLOYMENT_SECONDS = 2.0
_SECRETS = ("http_credentials", "mesos_authentication_secret", "ssl_keystore_password", "zk")
App = dict[str, Any]


class MarathonApi:
    """Answers for one instance; `zk` is its URL without the password."""

    def __init__(self, framework: Framework, flags: Given, zk: str) -> None:
        self._framework = framework
        self._flags = flags
        self._zk = zk
        self._lock = threading.Lock()
        self._deployments: dict[str, dict[str, Any]] = {}
        self._started = time.time()

    def answer(self, question: Question) -> Answer:
        """The answer of the real path; everything but /ping and /metrics comes from the leading instance."""
        path = question.path.rstrip("/") or "/"
        if path == "/ping":
            return Answer(200, "pong", kind="text/plain;charset=utf-8")
        if path in ("/metrics", "/metrics/prometheus"):
            return self._metrics(path)
        if not path.startswith("/v2/"):
            return Answer(404, {"message": "URI not found: " + path})
        forwarded = self._framework.to_leader(question, "Could not determine the current leader")
        if forwarded is not None:
            return forwarded
        try:
            return self._v2(path.removeprefix("/v2"), question)
        except OSError as error:
            return Answer(503, {"message": f"Timeout from ZooKeeper: {error}"})

    def _v2(self, path: str, question: Question) -> Answer:
        simple: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/info"): lambda: Answer(200, self._info()),
            ("GET", "/leader"): lambda: Answer(200, {"leader": self._framework.leader}),
            ("GET", "/deployments"): lambda: Answer(200, self._running()),
            ("GET", "/groups"): lambda: Answer(200, {"id": "/", "apps": self._shown(), "groups": []}),
            ("GET", "/apps"): lambda: Answer(200, {"apps": self._shown()}),
            ("POST", "/apps"): lambda: self._put(None, question),
        }
        if (question.method, path) in simple:
            return simple[question.method, path]()
        if path.startswith("/deployments/") and question.method == "DELETE":
            return self._cancel(path.removeprefix("/deployments/"))
        if not path.startswith("/apps/"):
            return Answer(500, {"message": f"URI not found: /v2{path}"})
        id = path.removeprefix("/apps")
        if question.method == "PUT":
            return self._put(id, question)
        if question.method == "POST" and id.endswith("/restart"):
            return self._restart(id.removesuffix("/restart"), question)
        return self._one(id, question)

    def _one(self, id: str, question: Question) -> Answer:
        with self._lock:
            apps = self._apps()
            if id not in apps:
                return Answer(404, no_app(id))
            if question.method == "GET":
                return Answer(200, {"app": self._with_counts(apps[id])})
            if question.method != "DELETE":
                return Answer(405, {"message": "HTTP 405 Method Not Allowed"})
            if (locked := self._locked(id, question)) is not None:
                return locked
            del apps[id]
            self._framework.store.write("double-apps", apps)
            return self._deploy(id, 200)

    def _put(self, id: str | None, question: Question) -> Answer:
        try:
            given = question.json()
        except ValueError as error:
            return Answer(400, no_json("", str(error)))
        if not isinstance(given, dict):
            return Answer(400, no_json("/", "error.expected.jsobject"))
        with self._lock:
            apps = self._apps()
            name = id or "/" + str(given.get("id", "")).lstrip("/")
            if id is None and name in apps:
                return Answer(409, {"message": f"An app with id [{name}] already exists."})
            patched = question.query.get("partialUpdate", "true") == "true"
            app = {**(apps.get(name, {}) if patched else {}), **given, "id": name}
            if wrong := problems(app):
                return Answer(422, invalid(wrong))
            if name in apps and (locked := self._locked(name, question)) is not None:
                return locked
            status = 200 if name in apps and id is not None else 201
            apps[name] = {**app, "version": _now()}
            self._framework.store.write("double-apps", apps)
            answer = self._deploy(name, status)
            return answer if id is not None else Answer(201, self._with_counts(apps[name]), answer.headers)

    def _restart(self, id: str, question: Question) -> Answer:
        with self._lock:
            if id not in self._apps():
                return Answer(404, no_app(id))
            return self._locked(id, question) or self._deploy(id, 200)

    def _apps(self) -> dict[str, App]:
        found: dict[str, App] = self._framework.store.read("double-apps") or {}
        return found

    def _locked(self, id: str, question: Question) -> Answer | None:
        by = [key for key, one in self._active().items() if id in one["affectedApps"]]
        if not by or question.query.get("force") == "true":
            return None
        return Answer(409, locked(by))

    def _deploy(self, id: str, status: int) -> Answer:
        key, version = str(uuid.uuid4()), _now()
        self._deployments[key] = {
            "id": key,
            "version": version,
            "affectedApps": [id],
            "affectedPods": [],
            "steps": [],
            "currentActions": [],
            "currentStep": 1,
            "totalSteps": 1,
            "began": time.monotonic(),
        }
        return Answer(status, {"version": version, "deploymentId": key}, {"Marathon-Deployment-Id": key})

    def _active(self) -> dict[str, dict[str, Any]]:
        if self._framework.framework_id() is not None:
            now = time.monotonic()
            done = [k for k, one in self._deployments.items() if now - one["began"] > _DEPLOYMENT_SECONDS]
            for key in done:
                del self._deployments[key]
        return self._deployments

    def _running(self) -> list[dict[str, Any]]:
        with self._lock:
            return [{k: v for k, v in one.items() if k != "began"} for one in self._active().values()]

    def _cancel(self, key: str) -> Answer:
        with self._lock:
            if self._deployments.pop(key, None) is None:
                return Answer(404, {"message": f"Deployment {key} does not exist"})
        return Answer(202, {"version": _now(), "deploymentId": key})

    def _shown(self) -> list[App]:
        with self._lock:
            return [self._with_counts(app) for app in self._apps().values()]

    def _with_counts(self, app: App) -> App:
        by = [{"id": key} for key, one in self._active().items() if app["id"] in one["affectedApps"]]
        instances = 0 if by else app.get("instances", 1)
        return {
            **DEFAULTS,
            **app,
            "deployments": by,
            "tasksStaged": 0,
            "tasksRunning": instances,
            "tasksHealthy": instances if app.get("healthChecks") else 0,
            "tasksUnhealthy": 0,
        }

    def _info(self) -> Mapping[str, Any]:
        return {
            "name": "marathon",
            "double": notice("marathon"),
            "version": MARATHON_VERSION,
            "buildref": "double",
            "elected": self._framework.leading,
            "leader": self._framework.leader,
            "frameworkId": self._framework.framework_id(),
            "marathon_config": {name: value for name, value in self._flags.items() if name not in _SECRETS},
            "zookeeper_config": {"zk": self._zk},
            "http_config": {"http_port": self._flags.get("http_port", 8080)},
        }

    def _metrics(self, path: str) -> Answer:
        leading, uptime = float(self._framework.leading), time.time() - self._started
        if path == "/metrics/prometheus":
            if not self._flags.get("metrics_prometheus"):
                return Answer(404, {"message": "URI not found: " + path})
            lines = (
                "# TYPE marathon_uptime_gauge_seconds gauge",
                f"marathon_uptime_gauge_seconds {uptime:.3f}",
                "# TYPE marathon_leadership_gauge gauge",
                f"marathon_leadership_gauge {leading}",
            )
            return Answer(200, "\n".join(lines) + "\n", kind="text/plain; version=0.0.4; charset=utf-8")
        gauges = {
            "marathon.uptime.gauge.seconds": {"value": uptime},
            "marathon.leadership.gauge": {"value": leading},
        }
        return Answer(200, {"version": "4.0.0", "gauges": gauges, "counters": {}, "timers": {}})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
