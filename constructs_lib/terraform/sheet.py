"""One element per stack that hands the attributes of all its resources to the engine.

The engine asks each element of a stack for its JSON twice per synth, and each question is a round trip to
Node with two messages. Measured with 60 resources: 140 ms over an empty synth when each answers for itself,
60 to 90 ms when one element answers for all. The engine merges both answers: the resource's own (its
address and metadata) and this one.
"""

from __future__ import annotations

from typing import Any

from constructs_lib.terraform.base import Construct, TerraformElement, member


class Sheet(TerraformElement):
    """The attributes of every resource and data source of one stack: section → type → name → attributes."""

    def __init__(self, stack: Construct) -> None:
        self._sections: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
        super().__init__(stack, "clustermesos-attributes")

    def put(self, section: str, type: str, name: str, attributes: dict[str, Any]) -> None:
        """Adds one element's attributes; the dict is kept, so that later changes to it count."""
        self._sections.setdefault(section, {}).setdefault(type, {})[name] = attributes

    @member("toTerraform")
    def to_terraform(self) -> dict[str, Any]:
        """The fragment of cdk.tf.json; asked by the engine."""
        return self._sections
