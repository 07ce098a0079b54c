"""Secrets that stand as values in a text that everybody sees: what can be told by their form.

What is not the value itself is none: a shell's variable or command, a file's path, a template's place.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence

_WORD = r"(?:passw(?:or)?d|passphrase|secret|token|credentials?|(?:private|api|access)[._-]?key)"
_NAME = rf"(?:[\w.-]*{_WORD}|(?:[\w.-]*[._-])?(?:pwd|pass))"
"""A name that ends so: `--password-file` and `--token-ttl` hold none."""
_REFERENCE = re.compile(r"[$`<@/{%*]|(?:file|env|fd):|(?:true|false|yes|no|none|null)?$", re.IGNORECASE)
"""What a value that is no secret begins with, or is."""
_USER = re.compile(r"://[^\s/:@'\"]*:(?P<value>[^\s/@'\"]+)@")
_DSN = re.compile(r"(?<![^\s:@/'\"])[^\s:@/'\"]+:(?P<value>[^\s@/'\"]+)@(?:tcp|unix)\(")
_SCHEME = re.compile(
    r"(?:^|authorization['\"]?\s*[:=]\s*['\"]?)(?P<scheme>bearer|basic)\s+(?P<value>[^\s'\"]+)['\"]?(?=$|\s)",
    re.IGNORECASE,
)
_ASSIGNED = re.compile(rf"(?<![\w.-]){_NAME}=['\"]?(?P<value>[^\s'\"&;,]*)", re.IGNORECASE)
_MEMBER = re.compile(rf"['\"]{_NAME}['\"]\s*:\s*['\"](?P<value>[^'\"]*)['\"]", re.IGNORECASE)
_OPTION = re.compile(rf"(?<!\S)(?P<name>--?{_NAME})\s+['\"]?(?P<value>[^\s'\"]+)", re.IGNORECASE)
_OPTION_ALONE = re.compile(rf"--?{_NAME}", re.IGNORECASE)
_ASKS = re.compile(r"--?(?:no|ask|prompt|skip)-", re.IGNORECASE)


def secret_in(text: str) -> str | None:
    """What a text that is no shell command holds, in words without the value; None for nothing."""
    if any(_is_value(found["value"]) for form in (_USER, _DSN) for found in form.finditer(text)):
        return "a password in an address"
    if any(_is_login(found["scheme"], found["value"]) for found in _SCHEME.finditer(text)):
        return "a login of HTTP"
    if any(_is_value(found["value"]) for form in (_ASSIGNED, _MEMBER) for found in form.finditer(text)):
        return "a value under a secret's name"
    return None


def secret_in_command(text: str) -> str | None:
    """The same of a command, whose options may have their values behind them."""
    options = (found for found in _OPTION.finditer(text) if not _ASKS.match(found["name"]))
    if any(_is_value(found["value"]) and found["value"][0] not in "-|>&;" for found in options):
        return "a value under a secret's name"
    return secret_in(text)


def secrets_in_arguments(arguments: Sequence[str]) -> dict[int, str]:
    """Index → what it holds, of each argument that holds something."""
    found: dict[int, str] = {}
    for index, argument in enumerate(arguments):
        before = arguments[index - 1] if index else ""
        named = _OPTION_ALONE.fullmatch(before) and not _ASKS.match(before)
        if what := secret_in(argument):
            found[index] = what
        elif named and not argument.startswith("-") and _is_value(argument):
            found[index] = "a value under a secret's name"
    return found


def _is_value(text: str) -> bool:
    return not _REFERENCE.match(text)


def _is_login(scheme: str, value: str) -> bool:
    if scheme.lower() == "bearer":
        return _is_value(value)
    try:
        return b":" in base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
