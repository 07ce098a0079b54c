"""Routes of a simulated API: method and path with `{name}` for one part and `{name*}` for several."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from constructs_lib.simulator.web import Answer, Question

Handler = Callable[..., Answer]


class Routes:
    """Finds who answers; the first route that fits does."""

    def __init__(self, routes: Mapping[str, Handler]) -> None:
        self._routes = [(*_compiled(route), handler) for route, handler in routes.items()]

    def answer(self, question: Question, path: str) -> Answer | None:
        """The answer; 405 where only other methods are known there, None where nothing is."""
        elsewhere = False
        for method, pattern, handler in self._routes:
            found = pattern.fullmatch(path)
            if found is None:
                continue
            if method == question.method or (method == "GET" and question.method == "HEAD"):
                return handler(question, **found.groupdict())
            elsewhere = True
        return Answer(405, {"message": "HTTP 405 Method Not Allowed"}) if elsewhere else None


def _compiled(route: str) -> tuple[str, re.Pattern[str]]:
    method, _, path = route.partition(" ")
    parts = re.split(r"(\{\w+\*?\})", path)
    pattern = "".join(
        f"(?P<{part[1:-1].rstrip('*')}>{'.+?' if part.endswith('*}') else '[^/]+'})"
        if part.startswith("{")
        else re.escape(part)
        for part in parts
    )
    return method, re.compile(pattern)
