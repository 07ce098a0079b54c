"""The meta-arguments that every resource takes: for_each, count, depends_on, lifecycle, provider."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from constructs_lib.errors import ResourceError
from constructs_lib.terraform.base import TerraformElement, TerraformProvider
from constructs_lib.terraform.hcl import is_template, to_hcl
from constructs_lib.terraform.plain import plain_mapping
from constructs_lib.terraform.schema import did_you_mean

ForEach = Mapping[str, object] | str | None
Count = int | str | None

_CONDITIONS = ("precondition", "postcondition")
_LIFECYCLE = (
    "create_before_destroy",
    "prevent_destroy",
    "ignore_changes",
    "replace_triggered_by",
    *_CONDITIONS,
)


@dataclass(frozen=True)
class Meta:
    """The meta-arguments of one resource, as given."""

    for_each: ForEach = None
    count: Count = None
    depends_on: Sequence[TerraformElement] = ()
    lifecycle: Mapping[str, Any] | None = None
    provider: TerraformProvider | None = None

    @property
    def repeats(self) -> bool:
        """Whether an address of one instance needs a key."""
        return self.for_each is not None or self.count is not None

    def check(self, address: str, *, managed: bool) -> None:
        """ResourceError for what Terraform would refuse; only managed resources have a whole lifecycle."""
        if self.for_each is not None and self.count is not None:
            raise ResourceError(f"{address}: for_each and count are both given, expected one of them")
        _check_for_each(address, self.for_each)
        _check_count(address, self.count)
        allowed = _LIFECYCLE if managed else _CONDITIONS
        for name in self.lifecycle or ():
            if name not in allowed:
                raise ResourceError(
                    f'{address}: unknown lifecycle setting "{name}"{did_you_mean(name, list(allowed))}, '
                    f"expected one of {', '.join(allowed)}"
                )

    def for_engine(self) -> dict[str, Any]:
        """What only the engine can name: elements that were made by other bindings."""
        addresses = [_address(element) for element in self.depends_on]
        return {
            "dependsOn": list(self.depends_on) if None in addresses else None,
            "provider": self.provider if _address(self.provider) is None else None,
        }

    def for_json(self) -> dict[str, Any]:
        """The rest, as it stands in the JSON."""
        addresses = [_address(element) for element in self.depends_on]
        for_each = self.for_each
        if isinstance(for_each, Mapping):
            # checkov takes each key of a JSON object for an instance, and adds two of its own.
            for_each = f"${{merge({to_hcl(for_each)})}}"
        return plain_mapping(
            {
                "for_each": for_each,
                "count": self.count,
                "depends_on": addresses if addresses and None not in addresses else None,
                "lifecycle": self.lifecycle,
                "provider": _address(self.provider),
            }
        )


def _address(element: object) -> str | None:
    """The address of an element of this package; None for one that other bindings made."""
    address: str | None = getattr(element, "address", None)
    return address


def _check_for_each(address: str, for_each: ForEach) -> None:
    if isinstance(for_each, str):
        if not is_template(for_each):
            raise ResourceError(
                f'{address}: for_each: got {for_each!r}, expected a mapping or an expression "${{…}}"'
            )
    elif for_each is not None and not isinstance(for_each, Mapping):
        raise ResourceError(
            f"{address}: for_each: got {for_each!r}, expected a mapping keyed by name or an expression"
        )
    elif not all(isinstance(key, str) for key in for_each or ()):
        raise ResourceError(f"{address}: for_each: got the keys {list(for_each or ())!r}, expected strings")


def _check_count(address: str, count: Count) -> None:
    if isinstance(count, str):
        if not is_template(count):
            raise ResourceError(
                f'{address}: count: got {count!r}, expected a number or an expression "${{…}}"'
            )
    elif count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 0):
        raise ResourceError(f"{address}: count: got {count!r}, expected 0 or more")
