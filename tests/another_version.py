"""Stacks as another version of the library would write them."""

from __future__ import annotations

from typing import Any

from tests.synthesized import Json


def of_another_version(stack: Json) -> Json:
    """The stack as another version of the library would write it: other texts, and another program."""

    def changed(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: changed(below) for key, below in value.items()}
        if isinstance(value, list):
            return [changed(below) for below in value]
        if isinstance(value, str) and value.startswith("#cloud-config"):
            return value.replace("#cloud-config\n", "#cloud-config\n# of another version\n", 1)
        return value

    local_values = changed(stack["locals"])
    assert local_values != stack["locals"]
    local_values["carried"] = {
        key: f"{text}# of another version\n" for key, text in local_values["carried"].items()
    }
    return {**stack, "locals": local_values}
