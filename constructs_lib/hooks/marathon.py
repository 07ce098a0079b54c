"""Marathon's API v2 (1.10), as far as the hooks use it: typed calls, and what each answer means.

Source: `docs/docs/rest-api/public/api` of Marathon 1.10. Deployments are locks: what changes an app that one
holds is answered 409, and is tried again until the deadline, since Marathon's own deployments here are short.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from constructs_lib.hooks.api_error import ApiError
from constructs_lib.hooks.http import Client

App = Mapping[str, Any]
_LOCKED_PAUSE = 1.0
_LOCKED_SECONDS = 60.0
_EVERYTHING = [("embed", f"apps.{what}") for what in ("tasks", "deployments", "counts", "lastTaskFailure")]


class Marathon:
    """Calls of one run; all raise ApiError."""

    def __init__(self, client: Client, *, locked_seconds: float = _LOCKED_SECONDS) -> None:
        self.client = client
        self._locked_seconds = locked_seconds

    def info(self) -> Mapping[str, Any]:
        """`GET /v2/info`: version, frameworkId, leader, elected."""
        return _object(self.client.get("/v2/info").body)

    def leader(self) -> str | None:
        """`host:port` of the leading instance, None while there is none."""
        try:
            found = _object(self.client.get("/v2/leader").body).get("leader")
        except ApiError as error:
            if error.kind == "missing":
                return None
            raise
        return str(found) if found else None

    def apps(self) -> tuple[App, ...]:
        """Every app with its tasks, deployments, counts and last failure: one request."""
        return tuple(_object(self.client.get("/v2/apps", _EVERYTHING).body).get("apps") or ())

    def below(self, group: str) -> tuple[App, ...]:
        """The apps of a group as in `apps`, none where there is no such group.

        A group that is not there is answered 404, and so may be what did not get to Marathon. Who took that
        for nothing would begin a deployment anew: none is what a list without them says.
        """
        try:
            found = _object(self.client.get(f"/v2/apps{_path(group)}/*", _EVERYTHING).body)
        except ApiError as error:
            if error.kind != "missing":
                raise
            return self._listed(f"{_path(group)}/")
        return tuple(found.get("*") or ())

    def _listed(self, begin: str) -> tuple[App, ...]:
        """Those of all apps whose id begins so; the API takes a text that stands anywhere in it."""
        found = _object(self.client.get("/v2/apps", [("id", begin), *_EVERYTHING]).body).get("apps")
        return tuple(app for app in found or () if str(app.get("id")).startswith(begin))

    def app(self, id: str) -> App | None:
        """One app as in `apps`, None where there is none."""
        try:
            query = [(name, value.replace("apps.", "app.")) for name, value in _EVERYTHING]
            found: App = _object(self.client.get(f"/v2/apps{_path(id)}", query).body)["app"]
        except ApiError as error:
            if error.kind == "missing":
                return None
            raise
        return found

    def put(self, id: str, body: Mapping[str, Any], *, force: bool = False) -> str | None:
        """Make the app exactly this, what it had besides is gone; the id of the deployment."""
        query = [("partialUpdate", "false"), ("force", _flag(force))]
        return self._change("PUT", f"/v2/apps{_path(id)}", query, {**body, "id": id})

    def scale(self, id: str, instances: int, *, force: bool = False) -> str | None:
        """Set the number of instances and nothing else; the id of the deployment."""
        query = [("partialUpdate", "true"), ("force", _flag(force))]
        return self._change("PUT", f"/v2/apps{_path(id)}", query, {"instances": instances})

    def kill(self, tasks: Collection[str], *, scale: bool = True, force: bool = False) -> str | None:
        """Kill tasks; with `scale` their apps get as many instances fewer, so that none is started again.

        Tasks that are gone are no error, so a second call after a lost answer would do no harm were it not
        for `scale`: what is known to be gone must be left out, and an answer that was lost is not asked for
        again.
        """
        if not tasks:
            return None
        query = [("scale", _flag(scale)), ("force", _flag(force))]
        return self._change("POST", "/v2/tasks/delete", query, {"ids": sorted(tasks)}, repeatable=not scale)

    def delete(self, id: str, *, force: bool = False) -> str | None:
        """Delete the app with all of its tasks; None where there is none, by a list as well."""
        try:
            return self._change("DELETE", f"/v2/apps{_path(id)}", [("force", _flag(force))], None)
        except ApiError as error:
            if error.kind != "missing" or any(app["id"] == _path(id) for app in self._listed(_path(id))):
                raise
            return None

    def deployments(self) -> tuple[Mapping[str, Any], ...]:
        """The deployments that run, with `affectedApps` and `currentActions`."""
        return tuple(_list(self.client.get("/v2/deployments").body))

    def cancel(self, id: str, *, force: bool = True) -> None:
        """End a deployment. With `force` what it has changed stays; else a new one turns it round."""
        try:
            self.client.ask("DELETE", f"/v2/deployments/{quote(id)}", [("force", _flag(force))])
        except ApiError as error:
            if error.kind != "missing":
                raise

    def queue(self) -> tuple[Mapping[str, Any], ...]:
        """What waits for offers, with those that were last turned down and why."""
        query = [("embed", "lastUnusedOffers")]
        return tuple(_object(self.client.get("/v2/queue", query).body).get("queue") or ())

    def reset_delay(self, id: str) -> None:
        """Forget the back-off of an app whose tasks failed."""
        try:
            self.client.ask("DELETE", f"/v2/queue{_path(id)}/delay")
        except ApiError as error:
            if error.kind != "missing":
                raise

    def _change(
        self,
        method: Any,
        path: str,
        query: Sequence[tuple[str, str]],
        body: object,
        *,
        repeatable: bool = True,
    ) -> str | None:
        locked = self.client.deadline.within(self._locked_seconds)
        while True:
            try:
                reply = self.client.ask(method, path, query, body, repeatable=repeatable)
            except ApiError as error:
                if not _may_free_itself(error) or locked.over:
                    raise
                locked.sleep(_LOCKED_PAUSE)
            else:
                found = reply.body.get("deploymentId") if isinstance(reply.body, dict) else None
                return str(found) if found else reply.headers.get("marathon-deployment-id")


def tasks_of(app: App) -> tuple[Mapping[str, Any], ...]:
    """The app's tasks as `apps` gives them."""
    return tuple(app.get("tasks") or ())


def _may_free_itself(error: ApiError) -> bool:
    # 403 also is Marathon's word for "max concurrent deployments reached".
    too_many = error.kind == "forbidden" and "deployment" in error.said.lower()
    return error.kind == "locked" or too_many


def _path(id: str) -> str:
    return "/" + quote(id.strip("/"))


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _object(body: Any) -> Mapping[str, Any]:
    if isinstance(body, dict):
        return body
    raise ApiError("unreadable", "Marathon", f"got {type(body).__name__} where a JSON object is expected")


def _list(body: Any) -> Sequence[Mapping[str, Any]]:
    if isinstance(body, list):
        return body
    raise ApiError("unreadable", "Marathon", f"got {type(body).__name__} where a JSON list is expected")
