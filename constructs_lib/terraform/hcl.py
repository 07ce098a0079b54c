"""Python values as Terraform expressions.

In Terraform JSON every string is a template: `"${aws_vpc.x.id}"` is a reference and `"a-${var.b}"`
interpolates. A plain Python string means the same here. Two more kinds exist:

* `literal(text)` gives back a template that evaluates to exactly `text`, whatever is in it.
* `Expr("aws_vpc.x.id")` is a bare expression. Its text is the template `${aws_vpc.x.id}`, so it can stand
  wherever a string can, and `to_hcl()` puts it down without quotes, so that its type is kept.

`to_hcl(value)` renders a whole value as the text of one expression, for places that take no JSON: arguments
of functions, and `for_each` over `merge({…})`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

_TEMPLATE_START = re.compile(r"[$%](?=\{)")
# With the signs before it, which would otherwise escape the sequence that is put there.
_MISREAD = re.compile(r"[$%]*(?:\r(?!\n)|TfToken(?=\[))")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_TEXT = re.compile(r'["\\\x00-\x1f\x7f\u0085\u2028\u2029]')
_SEQUENCE = re.compile(r"(?P<escaped>\$\$\{|%%\{)|(?P<open>[$%]\{)")


class Expr(str):
    """A bare Terraform expression: `Expr("var.zone")` is the string "${var.zone}" that `to_hcl()` renders
    as var.zone.
    """

    __slots__ = ("code",)
    code: str

    def __new__(cls, code: str) -> Expr:
        """Wraps the code of the expression, which is given without `${` and `}`."""
        made = super().__new__(cls, f"${{{code}}}")
        made.code = code
        return made


def literal(text: str) -> str:
    """A template that Terraform evaluates to `text`: `${` becomes `$${` and `%{` becomes `%%{`, each once.

    A text that looks like one of the engine's own tokens is cut in two, or the engine would replace it; and
    a lone carriage return stands in quotes, since Terraform 1.11 reads `$$${` wrongly in a template with one.
    """
    escaped = _TEMPLATE_START.sub(r"\g<0>\g<0>", text)
    return _MISREAD.sub(_in_quotes, escaped)


def _in_quotes(found: re.Match[str]) -> str:
    carriage_return = r"\r"
    return f'${{"{found[0].replace(chr(13), carriage_return)}"}}'


def is_template(value: object) -> bool:
    """True for a string in which Terraform would evaluate something, so that its value is not known at
    synth.
    """
    return isinstance(value, str) and any(found["open"] for found in _SEQUENCE.finditer(value))


def to_hcl(value: object) -> str:
    """The text of an HCL expression for a value of None, bool, int, float, str, mappings and sequences of
    these.

    Strings are templates, as in the module's docstring. Terraform itself puts every string into Unicode's
    NFC. TypeError for any other type; ValueError for NaN, infinities and an interpolation that is not
    closed.
    """
    if isinstance(value, str):
        return _string(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        if not math.isfinite(value):
            raise ValueError(f"got {value!r}, expected a finite number: Terraform has no NaN or infinity")
        return repr(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(key)} = {to_hcl(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "[" + ", ".join(map(to_hcl, value)) + "]"
    raise TypeError(
        f"got {value!r} ({type(value).__name__}), expected None, bool, number, str, mapping or list"
    )


def index(key: str | int) -> str:
    """The index part of an address: `["master-1"]` or `[0]`."""
    return f"[{to_hcl(literal(key) if isinstance(key, str) else key)}]"


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"got the key {key!r} ({type(key).__name__}), expected a string")
    # Always quoted: `{for = 1}` would start a for expression.
    return f'"{_quoted(key)}"'


def _string(text: str) -> str:
    if isinstance(text, Expr):
        return text.code
    parts = list(_parts(text))
    if len(parts) == 1 and parts[0].startswith("${"):
        # One interpolation and nothing else keeps the type of its value, with or without the quotes.
        return parts[0][2:-1].strip()
    return f'"{_quoted(text)}"'


def _quoted(text: str) -> str:
    return "".join(part if _opens(part) else _TEXT.sub(_escape, part) for part in _parts(text))


def _escape(found: re.Match[str]) -> str:
    char = found[0]
    return _ESCAPES.get(char) or f"\\u{ord(char):04x}"


def _opens(part: str) -> bool:
    return part.startswith(("${", "%{"))


def _parts(text: str) -> Iterator[str]:
    """Cuts a template into literal texts and `${…}` or `%{…}` sequences, which start with these two
    characters.
    """
    start = at = 0
    while found := _SEQUENCE.search(text, at):
        at = found.end()
        if found["escaped"]:
            continue
        if found.start() > start:
            yield text[start : found.start()]
        at = start = _end_of_code(text, at)
        yield text[found.start() : at]
    if start < len(text):
        yield text[start:]


def _end_of_code(text: str, at: int) -> int:
    """The position after the brace that closes the sequence whose code starts at `at`."""
    opened = at
    depth = 1
    while at < len(text):
        char = text[at]
        at += 1
        if char == '"':
            at = _end_of_string(text, at)
        elif char == "{":
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0:
                return at
    start = text[max(0, opened - 2) : opened + 40]
    raise ValueError(f"the interpolation {start!r} is not closed; use literal() for plain text")


def _end_of_string(text: str, at: int) -> int:
    """The position after the quote that closes the HCL string whose text starts at `at`."""
    while at < len(text):
        if text[at] == '"':
            return at + 1
        if text[at] == "\\":
            at += 2
        elif found := _SEQUENCE.match(text, at):
            at = found.end() if found["escaped"] else _end_of_code(text, found.end())
        else:
            at += 1
    return at
