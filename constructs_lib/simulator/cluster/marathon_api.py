"""Marathon's API v2 over the simulated scheduler: what it accepts, what it refuses, and in which words."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from constructs_lib.simulator.app_rules import problems
from constructs_lib.simulator.app_shape import App, invalid, locked, no_app, no_json, sent
from constructs_lib.simulator.cluster import marathon_json as shape
from constructs_lib.simulator.cluster.apps import AppState
from constructs_lib.simulator.cluster.deployments import Deployment
from constructs_lib.simulator.cluster.label_selector import selector
from constructs_lib.simulator.cluster.marathon import LockedError, Marathon, TooManyError
from constructs_lib.simulator.cluster.routes import Routes
from constructs_lib.simulator.cluster.world import Task
from constructs_lib.simulator.web import Answer, Question

_TOO_MANY = (
    "Max number ({most}) of running deployments is achieved. Wait for existing deployments to complete or "
    "cancel one using force=true parameter. You can increase max deployment number by using "
    "--max_running_deployments parameter but be advised that this can have negative effects on the "
    "performance."
)


class RefusedRequestError(Exception):
    """A request that is answered with an error; `answer` is what."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.body))
        self.answer = answer


class MarathonApi:
    """Answers below `/v2` as the leading instance gives them."""

    def __init__(self, marathon: Marathon) -> None:
        self._marathon = marathon
        self._routes = Routes(
            {
                "GET /apps": self._list,
                "POST /apps": self._create,
                "PUT /apps": self._put_all,
                "PATCH /apps": self._put_all,
                "GET /apps/{id*}/tasks": self._tasks,
                "DELETE /apps/{id*}/tasks": self._kill_of_app,
                "DELETE /apps/{id*}/tasks/{task}": self._kill_one,
                "GET /apps/{id*}/versions": self._versions,
                "GET /apps/{id*}/versions/{version}": self._version,
                "POST /apps/{id*}/restart": self._restart,
                "GET /apps/{id*}": self._one,
                "PUT /apps/{id*}": self._put,
                "PATCH /apps/{id*}": self._put,
                "DELETE /apps/{id*}": self._delete,
                "GET /groups": self._groups,
                "GET /groups/{id*}": self._groups,
                "GET /deployments": self._deployments,
                "DELETE /deployments/{id}": self._cancel,
                "GET /tasks": self._all_tasks,
                "POST /tasks/delete": self._kill_many,
                "GET /queue": self._queue,
                "DELETE /queue/{id*}/delay": self._reset_delay,
            }
        )

    def answer(self, question: Question, path: str) -> Answer | None:
        """The answer to `path` without `/v2`; None where there is no such route."""
        try:
            return self._routes.answer(question, path)
        except RefusedRequestError as refused:
            return refused.answer
        except LockedError as error:
            return Answer(409, locked(error.deployments))
        except TooManyError:
            return Answer(403, {"message": _TOO_MANY.format(most=self._marathon.most_deployments)})

    # Apps.

    def _list(self, question: Question) -> Answer:
        apps: Iterable[AppState] = self._marathon.apps.values()
        try:
            tests = [selector(text) for text in question.values("label")]
        except ValueError as error:
            raise RefusedRequestError(Answer(422, {"message": str(error)})) from None
        wanted, command = question.query.get("id", ""), question.query.get("cmd", "")
        embed, locks = _embed(question, "apps."), shape.locks(self._marathon)
        shown = [
            shape.app_info(self._marathon, app, embed, locks)
            for app in apps
            if wanted in app.id
            and command in str(app.spec.get("cmd", ""))
            and all(test(app.spec["labels"]) for test in tests)
        ]
        return Answer(200, {"apps": shown})

    def _one(self, question: Question, id: str) -> Answer:
        locks = shape.locks(self._marathon)
        if id == "*" or id.endswith("/*"):
            pattern = "/" + id.strip("/")
            embed = _embed(question, "apps.")
            found = [
                shape.app_info(self._marathon, app, embed, locks)
                for app in self._marathon.apps.values()
                if fnmatchcase(app.id, pattern)
            ]
            return Answer(200, {"*": found})
        # Marathon always shows these of a single app, for old clients.
        embed = {"tasks", "lastTaskFailure", *_embed(question, "app.")}
        return Answer(200, {"app": shape.app_info(self._marathon, self._app(id), embed, locks)})

    def _create(self, question: Question) -> Answer:
        given = _object(question)
        id = "/" + str(given.get("id", "")).strip("/")
        _check({**given, "id": id})
        if id in self._marathon.apps:
            raise RefusedRequestError(Answer(409, {"message": f"An app with id [{id}] already exists."}))
        made = self._marathon.change({id: given}, force=_force(question))
        shown = shape.app_info(self._marathon, self._app(id), {"tasks"}, shape.locks(self._marathon))
        return Answer(201, shown, {"Marathon-Deployment-Id": made.id, "Location": f"/v2/apps{id}"})

    def _put(self, question: Question, id: str) -> Answer:
        name = "/" + id.strip("/")
        given = self._merged(name, _object(question), question)
        status = 200 if name in self._marathon.apps else 201
        return _deployed(self._marathon.change({name: given}, force=_force(question)), status)

    def _put_all(self, question: Question) -> Answer:
        listed = _json(question)
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise RefusedRequestError(Answer(400, no_json("", "error.expected.jsarray")))
        ids = ["/" + str(one.get("id", "")).strip("/") for one in listed]
        wanted = {id: self._merged(id, one, question) for id, one in zip(ids, listed, strict=True)}
        return _deployed(self._marathon.change(wanted, force=_force(question)), 200)

    def _merged(self, id: str, given: App, question: Question) -> App:
        """What a PUT makes of an app: over what there is, unless `partialUpdate=false`."""
        named = "/" + str(given.get("id", id)).strip("/")
        if named != id:
            details = [{"path": "/id", "errors": [f"got {named}, expected {id} as in the path"]}]
            raise RefusedRequestError(Answer(422, invalid(details)))
        known = self._marathon.apps.get(id)
        patched = question.query.get("partialUpdate", "true") == "true" and known is not None
        if patched and known is not None and "version" in given and set(given) <= {"version", "id"}:
            # Back to an older version.
            if given["version"] not in known.history:
                raise RefusedRequestError(Answer(404, no_app(id)))
            return known.history[given["version"]]
        merged = {**(known.spec if patched and known is not None else {}), **sent(given), "id": id}
        if "cmd" in given and "args" not in given:
            merged.pop("args", None)
        elif "args" in given and "cmd" not in given:
            merged.pop("cmd", None)
        _check(merged)
        return merged

    def _delete(self, question: Question, id: str) -> Answer:
        app = self._app(id)
        return _deployed(self._marathon.change({app.id: None}, force=_force(question)), 200)

    def _restart(self, question: Question, id: str) -> Answer:
        app = self._app(id)
        made = self._marathon.change({app.id: app.spec}, force=_force(question), restart=True)
        return _deployed(made, 200)

    def _versions(self, question: Question, id: str) -> Answer:
        return Answer(200, {"versions": sorted(self._app(id).history, reverse=True)})

    def _version(self, question: Question, id: str, version: str) -> Answer:
        app = self._app(id)
        if version not in app.history:
            return Answer(404, {"message": f"App '{app.id}' with version '{version}' does not exist"})
        return Answer(200, {**app.history[version], "version": version})

    def _app(self, id: str) -> AppState:
        name = "/" + id.strip("/")
        if name not in self._marathon.apps:
            raise RefusedRequestError(Answer(404, no_app(name)))
        return self._marathon.apps[name]

    # Groups, deployments, queue.

    def _groups(self, question: Question, id: str = "/") -> Answer:
        embed = {name.removeprefix("group.apps.") for name in question.values("embed")}
        locks = shape.locks(self._marathon)
        shown = {
            name: shape.app_info(self._marathon, app, embed, locks)
            for name, app in self._marathon.apps.items()
        }
        found = shape.groups(shown, id)
        if found is None:
            return Answer(404, {"message": f"Group '/{id.strip('/')}' does not exist"})
        return Answer(200, found)

    def _deployments(self, question: Question) -> Answer:
        return Answer(200, [one.shown() for one in self._marathon.deployments.values()])

    def _cancel(self, question: Question, id: str) -> Answer:
        if id not in self._marathon.deployments:
            return Answer(404, {"message": f"Deployment {id} does not exist"})
        made = self._marathon.cancel(id, force=_force(question))
        return Answer(202) if made is None else _deployed(made, 200)

    def _queue(self, question: Question) -> Answer:
        offers = "lastUnusedOffers" in question.values("embed")
        waiting = self._marathon.queue.values()
        return Answer(
            200, {"queue": [shape.queue_entry(self._marathon, item, offers=offers) for item in waiting]}
        )

    def _reset_delay(self, question: Question, id: str) -> Answer:
        name = "/" + id.strip("/")
        if name not in self._marathon.queue:
            return Answer(404, {"message": f"Application {name} not found in tasks queue."})
        self._marathon.apps[name].reset_delay()
        self._marathon.world.want_offers()
        return Answer(204)

    # Tasks.

    def _tasks(self, question: Question, id: str) -> Answer:
        app = self._app(id)
        return Answer(
            200, {"tasks": [shape.task_info(app, task) for task in self._marathon.tasks_of(app.id)]}
        )

    def _all_tasks(self, question: Question) -> Answer:
        wanted = question.values("status") + question.values("status[]")
        found = [
            shape.task_info(app, task)
            for app in self._marathon.apps.values()
            for task in self._marathon.tasks_of(app.id)
            if not wanted or task.state.removeprefix("TASK_").lower() in wanted
        ]
        return Answer(200, {"tasks": found})

    def _kill_one(self, question: Question, id: str, task: str) -> Answer:
        app = self._app(id)
        found = [one for one in self._marathon.tasks_of(app.id) if one.id == task]
        if not found:
            return Answer(404, {"message": f"Task '{task}' does not exist"})
        return self._kill(question, found, single=True)

    def _kill_of_app(self, question: Question, id: str) -> Answer:
        host, app = question.query.get("host", "*"), self._app(id)
        tasks = self._marathon.tasks_of(app.id)
        return self._kill(question, [task for task in tasks if host in ("*", task.agent.hostname)])

    def _kill_many(self, question: Question) -> Answer:
        ids = _object(question).get("ids")
        if not isinstance(ids, list):
            raise RefusedRequestError(Answer(400, no_json("/ids", "error.path.missing")))
        tasks = self._marathon.world.tasks
        found = [tasks[id] for id in ids if id in tasks and tasks[id].framework == self._marathon.name]
        return self._kill(question, found)

    def _kill(self, question: Question, tasks: list[Task], *, single: bool = False) -> Answer:
        apps = {task.owner: self._marathon.apps[task.owner] for task in tasks}
        if question.query.get("scale") == "true":
            ids = {name: [task.id for task in tasks if task.owner == name] for name in apps}
            wanted = {
                name: {**app.spec, "instances": max(0, app.spec["instances"] - len(ids[name]))}
                for name, app in apps.items()
            }
            return _deployed(self._marathon.change(wanted, force=_force(question), kill=ids), 200)
        shown = [shape.task_info(apps[task.owner], task) for task in tasks]
        if question.query.get("wipe") == "true":
            for app in apps.values():
                app.reserved.clear()
        for task in tasks:
            self._marathon.world.kill(task)
        return Answer(200, {"task": shown[0]} if single else {"tasks": shown})


def _embed(question: Question, prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in question.values("embed")}


def _force(question: Question) -> bool:
    return question.query.get("force") == "true"


def _deployed(made: Deployment, status: int) -> Answer:
    body = {"version": made.version, "deploymentId": made.id}
    return Answer(status, body, {"Marathon-Deployment-Id": made.id})


def _json(question: Question) -> Any:
    try:
        return question.json()
    except ValueError as error:
        raise RefusedRequestError(Answer(400, no_json("", str(error)))) from None


def _object(question: Question) -> App:
    given = _json(question)
    if not isinstance(given, dict):
        raise RefusedRequestError(Answer(400, no_json("/", "error.expected.jsobject")))
    return given


def _check(app: App) -> None:
    if wrong := problems(app):
        raise RefusedRequestError(Answer(422, invalid(wrong)))
