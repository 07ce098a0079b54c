"""What a request to simulated Marathon asks, read once for all routes, and how it is refused."""

from __future__ import annotations

from typing import Any

from constructs_lib.simulator.app_rules import problems
from constructs_lib.simulator.app_shape import App, invalid, no_json
from constructs_lib.simulator.cluster.deployments import Deployment
from constructs_lib.simulator.web import Answer, Question


class RefusedRequestError(Exception):
    """A request that is answered with an error; `answer` is what."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(str(answer.body))
        self.answer = answer


def embedded(question: Question, prefix: str) -> set[str]:
    """What `embed=PREFIXname` asks for."""
    return {name.removeprefix(prefix) for name in question.values("embed")}


def force(question: Question) -> bool:
    """Whether deployments that hold an app are given up for this one."""
    return question.query.get("force") == "true"


def deployed(made: Deployment, status: int) -> Answer:
    """The answer to what began a deployment."""
    body = {"version": made.version, "deploymentId": made.id}
    return Answer(status, body, {"Marathon-Deployment-Id": made.id})


def read(question: Question) -> Any:
    """The JSON that was sent; RefusedRequestError."""
    try:
        return question.json()
    except ValueError as error:
        raise RefusedRequestError(Answer(400, no_json("", str(error)))) from None


def read_object(question: Question) -> App:
    """The JSON object that was sent; RefusedRequestError."""
    given = read(question)
    if not isinstance(given, dict):
        raise RefusedRequestError(Answer(400, no_json("/", "error.expected.jsobject")))
    return given


def check(app: App) -> None:
    """RefusedRequestError with everything that is wrong in an app."""
    if wrong := problems(app):
        raise RefusedRequestError(Answer(422, invalid(wrong)))
