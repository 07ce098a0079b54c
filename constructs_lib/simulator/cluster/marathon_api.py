"""Marathon's API v2 over the simulated scheduler: what it accepts, what it refuses, and in which words."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from constructs_lib.simulator.app_shape import App, invalid, locked, no_app, no_json, sent
from constructs_lib.simulator.cluster import marathon_json as shape
from constructs_lib.simulator.cluster.apps import AppState
from constructs_lib.simulator.cluster.asked import (
    RefusedRequestError,
    check,
    deployed,
    embedded,
    force,
    read,
    read_object,
)
from constructs_lib.simulator.cluster.deployments import Deployment
from constructs_lib.simulator.cluster.group_update import group_update
from constructs_lib.simulator.cluster.label_selector import selector
from constructs_lib.simulator.cluster.marathon import LockedError, Marathon, TooManyError
from constructs_lib.simulator.cluster.planning import CyclicError
from constructs_lib.simulator.cluster.routes import Routes
from constructs_lib.simulator.cluster.world import Task
from constructs_lib.simulator.web import Answer, Question

_CYCLIC = "Dependency graph has cyclic dependencies."
_TOO_MANY = (
    "Max number ({most}) of running deployments is achieved. Wait for existing deployments to complete or "
    "cancel one using force=true parameter. You can increase max deployment number by using "
    "--max_running_deployments parameter but be advised that this can have negative effects on the "
    "performance."
)


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
                "PUT /groups": self._put_group,
                "POST /groups": self._put_group,
                "GET /groups/{id*}": self._groups,
                "PUT /groups/{id*}": self._put_group,
                "POST /groups/{id*}": self._put_group,
                "DELETE /groups/{id*}": self._delete_group,
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
        except CyclicError:
            return Answer(422, invalid([{"path": "/", "errors": [_CYCLIC]}]))
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
        embed, locks = embedded(question, "apps."), shape.locks(self._marathon)
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
            embed = embedded(question, "apps.")
            found = [
                shape.app_info(self._marathon, app, embed, locks)
                for app in self._marathon.apps.values()
                if fnmatchcase(app.id, pattern)
            ]
            return Answer(200, {"*": found})
        # Marathon always shows these of a single app, for old clients.
        embed = {"tasks", "lastTaskFailure", *embedded(question, "app.")}
        return Answer(200, {"app": shape.app_info(self._marathon, self._app(id), embed, locks)})

    def _create(self, question: Question) -> Answer:
        given = read_object(question)
        id = "/" + str(given.get("id", "")).strip("/")
        check({**given, "id": id})
        if id in self._marathon.apps:
            raise RefusedRequestError(Answer(409, {"message": f"An app with id [{id}] already exists."}))
        made = self._marathon.change({id: given}, force=force(question))
        shown = shape.app_info(self._marathon, self._app(id), {"tasks"}, shape.locks(self._marathon))
        return Answer(201, shown, {"Marathon-Deployment-Id": made.id, "Location": f"/v2/apps{id}"})

    def _put(self, question: Question, id: str) -> Answer:
        name = "/" + id.strip("/")
        given = self._merged(name, read_object(question), question)
        status = 200 if name in self._marathon.apps else 201
        return deployed(self._marathon.change({name: given}, force=force(question)), status)

    def _put_all(self, question: Question) -> Answer:
        listed = read(question)
        if not isinstance(listed, list) or not all(isinstance(one, dict) for one in listed):
            raise RefusedRequestError(Answer(400, no_json("", "error.expected.jsarray")))
        ids = ["/" + str(one.get("id", "")).strip("/") for one in listed]
        wanted = {id: self._merged(id, one, question) for id, one in zip(ids, listed, strict=True)}
        return deployed(self._marathon.change(wanted, force=force(question)), 200)

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
        check(merged)
        return merged

    def _delete(self, question: Question, id: str) -> Answer:
        app = self._app(id)
        return deployed(self._marathon.change({app.id: None}, force=force(question)), 200)

    def _restart(self, question: Question, id: str) -> Answer:
        app = self._app(id)
        made = self._marathon.change({app.id: app.spec}, force=force(question), restart=True)
        return deployed(made, 200)

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

    def _put_group(self, question: Question, id: str = "/") -> Answer:
        given = read_object(question)
        name = "/" + (id.strip("/") or str(given.get("id", "")).strip("/"))
        try:
            wanted = group_update(name, given, self._marathon.apps)
        except (AttributeError, TypeError):
            raise RefusedRequestError(Answer(400, no_json("", "error.expected.jsobject"))) from None
        for app in wanted.values():
            if app is not None:
                check(app)
        return deployed(
            self._marathon.change(wanted, force=force(question)), 201 if question.method == "POST" else 200
        )

    def _delete_group(self, question: Question, id: str) -> Answer:
        name = "/" + id.strip("/")
        gone: dict[str, App | None] = {app: None for app in self._marathon.apps if app.startswith(f"{name}/")}
        if not gone:
            return Answer(404, {"message": f"Group '{name}' does not exist"})
        return deployed(self._marathon.change(gone, force=force(question)), 200)

    def _deployments(self, question: Question) -> Answer:
        return Answer(200, [self._shown(one) for one in self._marathon.deployments.values()])

    def _shown(self, deployment: Deployment) -> dict[str, Any]:
        return deployment.shown(lambda app: shape.readiness_results(self._marathon, app))

    def _cancel(self, question: Question, id: str) -> Answer:
        if id not in self._marathon.deployments:
            return Answer(404, {"message": f"Deployment {id} does not exist"})
        made = self._marathon.cancel(id, force=force(question))
        return Answer(202) if made is None else deployed(made, 200)

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
        ids = read_object(question).get("ids")
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
            return deployed(self._marathon.change(wanted, force=force(question), kill=ids), 200)
        shown = [shape.task_info(apps[task.owner], task) for task in tasks]
        if question.query.get("wipe") == "true":
            for app in apps.values():
                app.reserved.clear()
        for task in tasks:
            self._marathon.world.kill(task)
        return Answer(200, {"task": shown[0]} if single else {"tasks": shown})
