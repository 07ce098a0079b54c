"""Chronos' API over the simulated scheduler; instances that don't lead redirect to the one that does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from constructs_lib.simulator.cluster.chronos import Chronos
from constructs_lib.simulator.cluster.instances import Instances
from constructs_lib.simulator.cluster.jobs import JobState, Run, histogram
from constructs_lib.simulator.cluster.mesos_api import NOTICE
from constructs_lib.simulator.cluster.routes import Routes
from constructs_lib.simulator.cluster.world import iso
from constructs_lib.simulator.job_rules import BadRequestError
from constructs_lib.simulator.web import Answer, Question

PREFIXES = {"3": "/v1/scheduler/", "2": "/scheduler/"}
"""Chronos' main version → where its paths begin."""
_NOT_FOUND = {"status": "404", "message": "HTTP 404 Not Found"}


class ChronosFront:
    """Answers for every instance."""

    def __init__(self, chronos: Chronos, instances: Callable[[], Instances], version: str = "3") -> None:
        if version not in PREFIXES:
            raise ValueError(f"Chronos' version: got {version!r}, expected one of {', '.join(PREFIXES)}")
        self._chronos = chronos
        self._instances = instances
        self._prefix = PREFIXES[version]
        self._routes = Routes(
            {
                "GET leader": lambda _q: Answer(
                    200, {"leader": self._instances().leading, "simulator": NOTICE}
                ),
                "GET jobs": lambda _q: Answer(200, [job.fields for job in self._jobs()]),
                "GET jobs/search": self._search,
                "GET jobs/summary": lambda _q: Answer(200, {"jobs": [_summary(job) for job in self._jobs()]}),
                "POST iso8601": lambda q: self._put(q, scheduled=True),
                "PUT iso8601": lambda q: self._put(q, scheduled=True),
                "POST dependency": lambda q: self._put(q, scheduled=False),
                "PUT dependency": lambda q: self._put(q, scheduled=False),
                "PUT job/success/{name}": lambda _q, name: self._done(chronos.succeed, name),
                "GET job/stat/{name}": self._stat,
                "GET job/{name}": lambda _q, name: Answer(200, self._chronos.get(name).fields),
                "PUT job/{name}": lambda q, name: self._done(chronos.run, name, q.query.get("arguments", "")),
                "DELETE job/{name}": lambda _q, name: self._done(chronos.delete, name),
                "DELETE task/kill/{name}": lambda _q, name: self._done(chronos.kill, name),
                "GET graph/csv": lambda _q: Answer(200, self._csv(), kind="text/plain"),
                "GET graph/dot": lambda _q: Answer(200, self._dot(), kind="text/plain"),
                "GET stats/{percentile}": self._stats,
            }
        )

    def answer(self, question: Question, instance: int) -> Answer:
        """The answer of one instance."""
        if question.path == "/ping":
            return Answer(200, "pong", kind="text/plain;charset=utf-8")
        if question.path == "/metrics":
            return Answer(200, {"version": "3.0.0", "gauges": {}, "counters": {}, "timers": {}})
        if not question.path.startswith(self._prefix):
            return Answer(404, _NOT_FOUND)
        leader = self._instances().leading
        if leader is None:
            return Answer(503, {"status": "503", "message": "there is no leader"})
        if self._instances().leader != instance:
            return Answer(302, "", {"Location": f"http://{leader}{question.raw}"})
        return self._as_leader(question, question.path.removeprefix(self._prefix))

    def _as_leader(self, question: Question, path: str) -> Answer:
        try:
            return self._routes.answer(question, path) or Answer(404, _NOT_FOUND)
        except BadRequestError as bad:
            return Answer(400, {"status": "400", "message": str(bad)})
        except OSError as error:
            return Answer(500, {"status": "500", "message": str(error)})

    def _jobs(self) -> list[JobState]:
        return list(self._chronos.jobs.values())

    def _search(self, question: Question) -> Answer:
        wanted = question.query.get("name", question.query.get("any", ""))
        return Answer(200, [job.fields for job in self._jobs() if wanted in job.name])

    def _put(self, question: Question, *, scheduled: bool) -> Answer:
        try:
            job = question.json()
        except ValueError as error:
            raise BadRequestError(f"Unexpected character: {error}") from None
        self._chronos.put(job, scheduled=scheduled)
        return Answer(204)

    @staticmethod
    def _done(do: Callable[..., None], *words: str) -> Answer:
        do(*words)
        return Answer(204)

    def _stat(self, question: Question, name: str) -> Answer:
        runs = self._chronos.get(name).history
        shown = [_run(name, run) for run in reversed(runs)]
        return Answer(200, {"histogram": histogram(runs), "taskStatHistory": shown})

    def _stats(self, question: Question, percentile: str) -> Answer:
        found = [
            {"jobNameLabel": job.name, "time": histogram(job.history).get(percentile, 0.0)}
            for job in self._jobs()
            if job.history
        ]
        return Answer(200, sorted(found, key=lambda one: -float(one["time"])))

    def _csv(self) -> str:
        nodes = [f"node,{job.name},{job.status},{job.state}\n" for job in self._jobs()]
        links = [f"link,{parent},{job.name}\n" for job in self._jobs() for parent in sorted(job.parents)]
        return "".join(nodes + links)

    def _dot(self) -> str:
        nodes = "".join(f'  "{job.name}"\n' for job in self._jobs())
        links = "".join(
            f'  "{parent}" -> "{job.name}"\n' for job in self._jobs() for parent in sorted(job.parents)
        )
        return f"digraph G {{\n{nodes}{links}}}\n"


def _summary(job: JobState) -> dict[str, Any]:
    return {
        "name": job.name,
        "status": job.status,
        "state": job.state,
        "schedule": job.fields.get("schedule", ""),
        "parents": sorted(job.parents),
        "disabled": job.fields["disabled"],
    }


def _run(name: str, run: Run) -> dict[str, Any]:
    return {
        "taskId": run.task,
        "jobName": name,
        "taskSlaveId": run.agent,
        "taskSlaveHost": run.host,
        "status": {"TASK_FINISHED": "Success", "TASK_FAILED": "Fail"}.get(run.state, "Killed"),
        "startTime": iso(run.began),
        "endTime": iso(run.ended),
        "duration": f"{run.ended - run.began:.3f}",
        "message": run.message,
    }
