"""Chronos' HTTP API below `/v1/scheduler/` as far as health checks and deploy hooks use it.

Jobs are kept in ZooKeeper and never run; `PUT job/NAME` only counts.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from constructs_lib.simulator.double import notice
from constructs_lib.simulator.framework import Framework
from constructs_lib.simulator.job_rules import FRESH, BadRequestError, Job, check_job, known_job
from constructs_lib.simulator.web import Answer, Question

_PREFIX = "/v1/scheduler/"


class ChronosApi:
    """Answers for one instance."""

    def __init__(self, framework: Framework) -> None:
        self._framework = framework
        self._lock = threading.Lock()
        self._started = time.time()

    def answer(self, question: Question) -> Answer:
        """The answer of the real path; jobs come from the leading instance."""
        if question.path in ("/ping", "/metrics"):
            return self._own(question.path)
        if not question.path.startswith(_PREFIX):
            return Answer(404, {"status": "404", "message": "HTTP 404 Not Found"})
        forwarded = self._framework.to_leader(question, "there is no leader")
        return forwarded if forwarded is not None else self._as_leader(question)

    def _own(self, path: str) -> Answer:
        if path == "/ping":
            return Answer(200, "pong", kind="text/plain;charset=utf-8")
        gauges = {"jvm.uptime": {"value": time.time() - self._started}}
        return Answer(200, {"version": "3.0.0", "gauges": gauges, "counters": {}, "timers": {}})

    def _as_leader(self, question: Question) -> Answer:
        try:
            with self._lock:
                return self._scheduler(question.path.removeprefix(_PREFIX), question)
        except BadRequestError as bad:
            return Answer(400, {"status": "400", "message": str(bad)})
        except OSError as error:
            return Answer(500, {"status": "500", "message": f"{error}"})

    def _scheduler(self, path: str, question: Question) -> Answer:
        jobs: dict[str, Job] = self._framework.store.read("double-jobs") or {}
        method = question.method
        if method == "GET":
            return self._read(path, question, jobs)
        if method == "POST" and path in ("iso8601", "dependency"):
            job = _job(question, scheduled=path == "iso8601", known=jobs)
            jobs[job["name"]] = {**FRESH, **job}
        elif method == "PUT" and path.startswith("job/success/"):
            job = known_job(jobs, path.removeprefix("job/success/"))
            job.update(successCount=job["successCount"] + 1, lastSuccess=_now())
        elif method == "PUT" and path.startswith("job/"):
            known_job(jobs, path.removeprefix("job/"))
        elif method == "DELETE" and path.startswith("job/"):
            del jobs[known_job(jobs, path.removeprefix("job/"))["name"]]
        elif method == "DELETE" and path.startswith("task/kill/"):
            known_job(jobs, path.removeprefix("task/kill/"))
        else:
            return Answer(404, {"status": "404", "message": "HTTP 404 Not Found"})
        self._framework.store.write("double-jobs", jobs)
        return Answer(204)

    def _read(self, path: str, question: Question, jobs: Mapping[str, Job]) -> Answer:
        wanted = question.query.get("name", question.query.get("any", ""))
        lists: dict[str, object] = {
            "leader": {"leader": self._framework.leader, "double": notice("chronos")},
            "jobs": list(jobs.values()),
            "jobs/search": [job for name, job in jobs.items() if wanted in name],
            "jobs/summary": {"jobs": [_summary(name, job) for name, job in jobs.items()]},
        }
        if path in lists:
            return Answer(200, lists[path])
        if path == "graph/csv":
            return Answer(200, "".join(f"node,{name},fresh,idle\n" for name in jobs), kind="text/plain")
        if path.startswith("job/stat/"):
            known_job(jobs, path.removeprefix("job/stat/"))
            return Answer(200, {"histogram": {}, "taskStatHistory": []})
        if path.startswith("job/"):
            return Answer(200, known_job(jobs, path.removeprefix("job/")))
        return Answer(404, {"status": "404", "message": "HTTP 404 Not Found"})


def _summary(name: str, job: Job) -> Job:
    shape = {
        "schedule": job.get("schedule", ""),
        "parents": job.get("parents", []),
        "disabled": job["disabled"],
    }
    return {"name": name, "status": "fresh", "state": "idle", **shape}


def _job(question: Question, *, scheduled: bool, known: Mapping[str, Job]) -> Job:
    try:
        job = question.json()
    except ValueError as error:
        raise BadRequestError(f"Unexpected character: {error}") from None
    return check_job(job, scheduled=scheduled, known=known, now=datetime.now(UTC))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
