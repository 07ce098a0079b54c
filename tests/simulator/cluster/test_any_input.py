"""Whatever is sent to the simulated APIs: a documented answer, and the next one works."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from constructs_lib.simulator.cluster import SimulatedCluster
from constructs_lib.simulator.cluster.marathon_front import MarathonFront
from constructs_lib.simulator.web import Answer, Question

FIELDS = [
    "id",
    "cmd",
    "args",
    "cpus",
    "mem",
    "disk",
    "gpus",
    "instances",
    "constraints",
    "container",
    "networks",
    "portDefinitions",
    "ports",
    "env",
    "labels",
    "healthChecks",
    "readinessChecks",
    "upgradeStrategy",
    "backoffSeconds",
    "backoffFactor",
    "maxLaunchDelaySeconds",
    "taskKillGracePeriodSeconds",
    "killSelection",
    "acceptedResourceRoles",
    "requirePorts",
    "role",
    "version",
]
KEYS = st.sampled_from(
    [
        "type",
        "docker",
        "image",
        "portMappings",
        "containerPort",
        "hostPort",
        "volumes",
        "protocol",
        "mode",
        "path",
        "portIndex",
        "name",
        "intervalSeconds",
        "timeoutSeconds",
        "maxConsecutiveFailures",
        "gracePeriodSeconds",
        "minimumHealthCapacity",
    ]
)
PLAIN = st.none() | st.booleans() | st.integers(-5, 70000) | st.floats(allow_nan=False) | st.text(max_size=8)
WORDS = st.sampled_from(["UNIQUE", "LIKE", "GROUP_BY", "HTTP", "DOCKER", "host", "hostname", "(", "1"])
ANYTHING = st.recursive(
    PLAIN | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
APPS = st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=4)
QUICKLY = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="module")
def still() -> Iterator[SimulatedCluster]:
    """No port is needed: what answers is asked itself."""
    cluster = SimulatedCluster()
    yield cluster
    cluster.stop()


def asked(method: str, path: str, body: bytes) -> Question:
    return Question(method, path, {"force": "true"}, body, {}, path + "?force=true")


def to_marathon(cluster: SimulatedCluster, method: str, path: str, body: bytes) -> Answer:
    front: MarathonFront = cluster._front
    return front.answer(asked(method, path, body), 0)


@QUICKLY
@given(app=APPS)
def test_any_app_is_taken_or_refused_and_what_is_taken_can_be_shown(
    still: SimulatedCluster, app: dict[str, Any]
) -> None:
    answer = to_marathon(still, "PUT", "/v2/apps/web", json.dumps({"cmd": "a", **app}).encode())

    assert answer.status in (200, 201, 400, 404, 422)
    still.advance(5)
    for path in ("/v2/apps", "/v2/queue", "/v2/groups"):
        shown = to_marathon(still, "GET", path, b"")
        assert shown.status == 200
        assert json.dumps(shown.body)


@QUICKLY
@given(body=st.binary(max_size=60) | ANYTHING.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize(
    ("method", "path"),
    [("PUT", "/v2/apps"), ("PUT", "/v2/apps/web"), ("POST", "/v2/apps"), ("POST", "/v2/tasks/delete")],
)
def test_any_body_is_taken_or_refused(still: SimulatedCluster, method: str, path: str, body: bytes) -> None:
    assert to_marathon(still, method, path, body).status in (200, 201, 400, 409, 422)


JOBS = st.dictionaries(
    st.sampled_from(
        [
            "name",
            "schedule",
            "scheduleTimeZone",
            "parents",
            "command",
            "retries",
            "cpus",
            "mem",
            "disk",
            "constraints",
            "container",
            "fetch",
            "uris",
            "arguments",
            "environmentVariables",
            "disabled",
            "concurrent",
            "softError",
            "epsilon",
        ]
    ),
    ANYTHING | st.sampled_from(["R//PT1H", "R1//PT1S", "R/2026-01-01T00:00:00Z/P1D", "Europe/Paris"]),
    max_size=5,
)


@QUICKLY
@given(job=JOBS)
@pytest.mark.parametrize("kind", ["iso8601", "dependency"])
def test_any_job_is_taken_or_refused_and_time_goes_on(
    still: SimulatedCluster, kind: str, job: dict[str, Any]
) -> None:
    body = json.dumps({"name": "job", "schedule": "R//PT1H", "command": "a", **job}).encode()
    answer = still._jobs.answer(asked("POST", f"/v1/scheduler/{kind}", body), 0)

    assert answer.status in (204, 400, 500)
    assert answer.status == 204 or isinstance(answer.body, dict)
    still.advance(10)
    assert still._jobs.answer(asked("GET", "/v1/scheduler/jobs", b""), 0).status == 200
