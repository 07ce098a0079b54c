"""Rules for single values, put on the model's fields by `Annotated`; every refusal says what is expected.

A rule sees the raw value before pydantic does, so that nothing is converted by accident ("3" is no number,
`yes` is no boolean) and so that pydantic's own words never reach a user.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from constructs_lib.spec.wording import one_of, show


def refuse(expected: str, got: str | None = None) -> PydanticCustomError:
    """The exception of a rule: what is expected, and the words for the value where `show` would not do."""
    context: dict[str, Any] = {"expected": expected}
    if got is not None:
        context["got"] = got
    return PydanticCustomError("rule", "expected {expected}", context)


class Rule:
    """Base of all rules: `check` returns the value for the model or raises `refuse(...)`."""

    def check(self, value: object) -> object:
        """The value in the model's own type."""
        raise NotImplementedError

    def words(self) -> str:
        """What is allowed, for the reference."""
        raise NotImplementedError

    def json_schema(self) -> dict[str, Any]:
        """What an editor can check of the rule."""
        raise NotImplementedError

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return self.json_schema()


@dataclass(frozen=True)
class Whole(Rule):
    """A whole number from `low` to `high`."""

    low: int
    high: int
    of: str = ""

    def check(self, value: object) -> object:
        """The same number."""
        if isinstance(value, int) and not isinstance(value, bool) and self.low <= value <= self.high:
            return value
        raise refuse(self.words())

    def words(self) -> str:
        """Bounds and unit."""
        unit = f" ({self.of})" if self.of else ""
        return f"a whole number from {self.low} to {self.high}{unit}"

    def json_schema(self) -> dict[str, Any]:
        """Bounds."""
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class OneOf(Rule):
    """One of a few numbers or words."""

    choices: tuple[int | str, ...]
    reasons: tuple[tuple[int | str, str], ...] = ()
    """Pairs: what people often write instead, and what to say to it."""
    even: str = ""
    """Why an even number is refused."""

    def check(self, value: object) -> object:
        """The same value."""
        if isinstance(value, int | str) and not isinstance(value, bool):
            if value in self.choices:
                return value
            reason = dict(self.reasons).get(value, "")
            if isinstance(value, int) and value % 2 == 0:
                reason = reason or self.even
            raise refuse(one_of(self.choices) + (f" ({reason})" if reason else ""))
        raise refuse(one_of(self.choices))

    def words(self) -> str:
        """The choices."""
        return one_of(self.choices)

    def json_schema(self) -> dict[str, Any]:
        """The choices."""
        return {"enum": list(self.choices)}


@dataclass(frozen=True)
class Flag(Rule):
    """true or false, and none of YAML 1.1's other words for them."""

    def check(self, value: object) -> object:
        """The same boolean."""
        if isinstance(value, bool):
            return value
        raise refuse(self.words())

    def words(self) -> str:
        """Both words."""
        return "true or false"

    def json_schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class AlwaysTrue(Rule):
    """A protection that is named so that it can be seen, and that cannot be switched off."""

    why: str

    def check(self, value: object) -> object:
        """True."""
        if value is True:
            return value
        raise refuse(f"true: {self.why}")

    def words(self) -> str:
        """The one word."""
        return "true"

    def json_schema(self) -> dict[str, Any]:
        """The constant."""
        return {"const": True}


@dataclass(frozen=True)
class Text(Rule):
    """Text of one line that matches `pattern`; `also` raises for what a pattern can't say."""

    pattern: str
    expected: str
    longest: int = 200
    also: Callable[[str], None] | None = None

    def check(self, value: object) -> object:
        """The same text."""
        if isinstance(value, bool | int | float):
            raise refuse(f'{self.expected}, as text in quotes: "{show(value)}"')
        if not isinstance(value, str):
            raise refuse(self.expected)
        if value != value.strip():
            raise refuse(f"{self.expected}, without white space around it")
        if self.also is not None:
            self.also(value)
        if len(value) > self.longest:
            raise refuse(
                f"{self.expected}, at most {self.longest} characters",
                f"{show(value)} ({len(value)} characters)",
            )
        if not re.fullmatch(self.pattern, value):
            raise refuse(self.expected)
        return value

    def words(self) -> str:
        """As in errors."""
        return self.expected

    def json_schema(self) -> dict[str, Any]:
        """Pattern and length."""
        return {"type": "string", "pattern": f"^(?:{self.pattern})$", "maxLength": self.longest}


@dataclass(frozen=True)
class Number(Rule):
    """A number from `low` to `high`, whole or not."""

    low: float
    high: float
    of: str = ""

    def check(self, value: object) -> object:
        """The same number, as a float."""
        if isinstance(value, int | float) and not isinstance(value, bool) and self.low <= value <= self.high:
            return float(value)
        raise refuse(self.words())

    def words(self) -> str:
        """Bounds and unit."""
        unit = f" ({self.of})" if self.of else ""
        return f"a number from {self.low:g} to {self.high:g}{unit}"

    def json_schema(self) -> dict[str, Any]:
        """Bounds."""
        return {"type": "number", "minimum": self.low, "maximum": self.high}
