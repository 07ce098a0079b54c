"""Rules for names, networks, zones and addresses in the URL sense; see rules.py."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Any
from urllib.parse import urlsplit

from pydantic_core import PydanticCustomError

from constructs_lib.components import COMPONENTS, component_names
from constructs_lib.spec.rules import Rule, refuse
from constructs_lib.spec.wording import did_you_mean, one_of, show


@dataclass(frozen=True)
class Name(Rule):
    """A DNS label that starts with a letter and is not reserved."""

    of: str
    longest: int
    reserved: tuple[tuple[str, str], ...] = ()
    """Pairs: a pattern and why no name may match it."""

    def check(self, value: object) -> object:
        """The same name."""
        expected = f"a {self.of} name: lower-case letters, digits and single hyphens, starting with a letter"
        if not isinstance(value, str):
            quotes = ", as text in quotes" if isinstance(value, int | float) else ""
            raise refuse(f"{expected}{quotes}")
        if len(value) > self.longest:
            raise refuse(
                f"at most {self.longest} characters, so that names made from it fit the platform's limits",
                f"{show(value)} ({len(value)} characters)",
            )
        if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", value):
            near = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")
            usable = re.fullmatch(r"[a-z][a-z0-9-]*", near) and near != value
            raise refuse(f"{expected}{f'; did you mean {near}?' if usable else ''}")
        for pattern, why in self.reserved:
            if re.fullmatch(pattern, value):
                raise refuse(f"another {self.of} name: {why}")
        return value

    def words(self) -> str:
        """The form and the length."""
        return f"a {self.of} name: lower-case letters, digits and hyphens, at most {self.longest} characters"

    def json_schema(self) -> dict[str, Any]:
        """Pattern and length."""
        return {"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$", "maxLength": self.longest}


@dataclass(frozen=True)
class Network(Rule):
    """An IPv4 range such as 10.20.0.0/16 with no host bits set."""

    def check(self, value: object) -> object:
        """An IPv4Network."""
        if isinstance(value, IPv4Network):
            return value
        expected = self.words()
        if isinstance(value, str) and ":" in value:
            raise refuse(f"{expected}; IPv6 is not supported yet")
        if isinstance(value, str) and re.fullmatch(r"\d+(\.\d+){3}", value):
            raise refuse(f"a range with its length; for this one address write {value}/32")
        if not isinstance(value, str) or not re.fullmatch(r"\d+(\.\d+){3}/\d{1,2}", value):
            raise refuse(expected)
        try:
            network = IPv4Network(value, strict=False)
        except ValueError:
            raise refuse(
                f"{expected}: four numbers up to 255 without leading zeros, and a length up to 32"
            ) from None
        if str(network) != value:
            raise refuse(f"{expected}: bits after the length are set, did you mean {network}?")
        return network

    def words(self) -> str:
        """The written form."""
        return "an IPv4 range such as 10.20.0.0/16"

    def json_schema(self) -> dict[str, Any]:
        """The written form."""
        return {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,3}){3}/\d{1,2}$"}


@dataclass(frozen=True)
class Address(Rule):
    """One IPv4 address of a machine."""

    def check(self, value: object) -> object:
        """An IPv4Address."""
        expected = "an IPv4 address of a machine such as 10.20.16.4"
        try:
            address = ipaddress.IPv4Address(value) if isinstance(value, str | IPv4Address) else None
        except ValueError:
            address = None
        if address is None or address.is_multicast or address.is_loopback or address.is_link_local:
            raise refuse(expected)
        if address.is_unspecified or address.is_reserved:
            raise refuse(expected)
        return address

    def words(self) -> str:
        """The written form."""
        return "an IPv4 address such as 10.20.16.4"

    def json_schema(self) -> dict[str, Any]:
        """The written form."""
        return {"type": "string", "pattern": r"^\d{1,3}(\.\d{1,3}){3}$"}


@dataclass(frozen=True)
class Zones(Rule):
    """1 to 3, or that many letters."""

    def check(self, value: object) -> object:
        """The number, or a tuple of letters."""
        expected = self.words()
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 3:
            return value
        if not isinstance(value, list | tuple):
            raise refuse(expected)
        if not 1 <= len(value) <= 3:
            raise refuse(expected)
        for letter in value:
            if not isinstance(letter, str) or not re.fullmatch("[a-z]", letter):
                last = letter[-1:] if isinstance(letter, str) else ""
                whole_name = isinstance(letter, str) and re.fullmatch(r"[a-z]+(-[a-z]+)+-\d[a-z]", letter)
                raise refuse(f"only the zone's letter, {last}" if whole_name else expected, show(letter))
        if len(set(value)) != len(value):
            raise refuse("every letter once", f"[{', '.join(value)}]")
        return tuple(value)

    def words(self) -> str:
        """Both forms."""
        return "1, 2 or 3, or the zones' letters in order such as [a, b, c]"

    def json_schema(self) -> dict[str, Any]:
        """Either form."""
        letters = {"type": "string", "pattern": "^[a-z]$"}
        return {
            "oneOf": [
                {"type": "integer", "minimum": 1, "maximum": 3},
                {"type": "array", "items": letters, "minItems": 1, "maxItems": 3, "uniqueItems": True},
            ]
        }


@dataclass(frozen=True)
class Url(Rule):
    """An http(s) address without user and password; https only where `secure`, but for this machine."""

    secure: bool = False
    placeholder: str = ""
    """A word in braces that the address may hold."""
    example: str = "https://example.org"

    def check(self, value: object) -> object:
        """The same address."""
        expected = self.words()
        if not isinstance(value, str) or re.search(r"\s", value) or len(value) > 500:
            raise refuse(expected)
        try:
            url = urlsplit(value)
            host, _ = url.hostname, url.port
        except ValueError:
            raise refuse(expected) from None
        if "@" in url.netloc:
            raise refuse(
                f"{expected}, without user and password: this file is committed",
                "an address with a user or password in it (not shown)",
            )
        if url.scheme not in ("http", "https") or not host:
            raise refuse(expected)
        if self.secure and url.scheme == "http" and host not in ("127.0.0.1", "localhost", "::1"):
            raise refuse("an address that starts with https:// (http:// is for this machine only)")
        if re.search(r"[{}]", value.replace(self.placeholder or "{}", "")):
            allowed = f"no placeholder but {self.placeholder}" if self.placeholder else "no placeholder"
            raise refuse(f"{expected}, {allowed}")
        return value

    def words(self) -> str:
        """An example."""
        return f"an address such as {self.example}"

    def json_schema(self) -> dict[str, Any]:
        """The scheme."""
        return {"type": "string", "pattern": r"^https?://[^@\s]+$", "maxLength": 500}


@dataclass(frozen=True)
class ComponentName(Rule):
    """A component that has software of its own."""

    def check(self, value: object) -> object:
        """The same name."""
        names = component_names()
        if value in names:
            return value
        if value in {component.name for component in COMPONENTS}:
            words = f"has no software of its own, expected {one_of(names)}"
            raise PydanticCustomError("words", "{words}", {"words": words})
        settings = ("image_prefix", "apt_mirror", "apt_security_mirror", "proxy")
        near = did_you_mean(str(value), (*names, *settings))
        if near:
            raise PydanticCustomError(
                "words", "{words}", {"words": f"unknown component, did you mean {near}?"}
            )
        words = f"unknown component, expected {one_of(names)}, or a setting: {one_of(settings)}"
        raise PydanticCustomError("words", "{words}", {"words": words})

    def words(self) -> str:
        """The names."""
        return one_of(component_names())

    def json_schema(self) -> dict[str, Any]:
        """The names."""
        return {"enum": list(component_names())}
