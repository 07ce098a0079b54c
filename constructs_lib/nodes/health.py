"""The declared health checks as the data that `clustermesos-health` reads on the node."""

from __future__ import annotations

from collections.abc import Iterable

from constructs_lib.components.model import Component, FourLetterWord, Health, HttpOk


def health_json(components: Iterable[Component]) -> list[dict[str, object]]:
    """One mapping per check, in the order in which components start."""
    return [_check(component, check) for component in components for check in component.health]


def _check(component: Component, check: Health) -> dict[str, object]:
    if isinstance(check, FourLetterWord):
        return {
            "component": component.name,
            "kind": "four_letter_word",
            "port": component.port(check.port).number,
            "word": check.word,
            "modes": list(check.modes),
        }
    if isinstance(check, HttpOk):
        port = component.port(check.port).number
        url = f"http://127.0.0.1:{port}{check.path}"
        wanted = {"contains": check.contains} if check.contains else {}
        return {"component": component.name, "kind": "http_ok", "url": url, **wanted}
    return {"component": component.name, "kind": "unit_active", "unit": check.unit}
