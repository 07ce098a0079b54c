"""The declared health checks as the data that `clustermesos-apply` reads on the node."""

from __future__ import annotations

from collections.abc import Mapping

from constructs_lib.components.model import CommandSucceeds, Component, FourLetterWord, Health, HttpOk

Check = str | Mapping[str, object]
"""A unit that has to be active, or what else is asked for; as short as user data has to be."""


def checks_of(component: Component) -> tuple[Check, ...]:
    """The checks that `component` declares."""
    return tuple(_check(component, check) for check in component.health)


def _check(component: Component, check: Health) -> Check:
    if isinstance(check, FourLetterWord):
        port = component.port(check.port).number
        return {"kind": "four_letter_word", "port": port, "word": check.word, "modes": list(check.modes)}
    if isinstance(check, HttpOk):
        url = f"http://127.0.0.1:{component.port(check.port).number}{check.path}"
        more = {"contains": check.contains, "bearer": check.bearer}
        return {"kind": "http_ok", "url": url} | {name: value for name, value in more.items() if value}
    if isinstance(check, CommandSucceeds):
        return {"kind": "succeeds", "command": list(check.command)}
    return check.unit
