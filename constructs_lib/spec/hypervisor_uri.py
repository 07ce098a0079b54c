"""The rule for a libvirt host's URI, and what it says.

Only what reaches a host safely is taken: on this machine, over SSH with a checked host key, or over TLS.
https://libvirt.org/uri.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qsl, urlsplit

from constructs_lib.spec.rules import Rule, refuse

LOCAL = "qemu"
REMOTE = ("qemu+ssh", "qemu+sshcmd", "qemu+tls")
EXAMPLE = "qemu:///system or qemu+ssh://root@kvm1.example.org/system"
SETTINGS = ("keyfile", "knownhosts", "pkipath", "socket")
"""What may stand behind the question mark."""
_UNCHECKED = ("no_verify", "known_hosts_verify", "no_tty", "sshauth", "command", "netcat", "proxy")
_HOST = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"


@dataclass(frozen=True)
class HypervisorUri(Rule):
    """A URI of libvirt's QEMU driver on one host."""

    def check(self, value: object) -> object:
        """The same URI."""
        if not isinstance(value, str) or re.search(r"[\s${}\"\\]", value) or len(value) > 500:
            raise refuse(self.words())
        try:
            uri = urlsplit(value)
            host, port = uri.hostname, uri.port
        except ValueError:
            raise refuse(self.words()) from None
        if uri.password is not None:
            raise refuse(
                f"{self.words()}, without a password: this file is committed",
                "a URI with a password in it (not shown)",
            )
        self._transport(uri)
        if uri.path != "/system":
            raise refuse(f"{self.words()}: the path is /system, the host's own libvirtd")
        if uri.scheme == LOCAL and (uri.netloc or uri.query):
            raise refuse(f"qemu+ssh://{uri.netloc or 'HOST'}/system for another host, or qemu:///system")
        if uri.scheme != LOCAL and (not host or not re.fullmatch(_HOST, host) or port == 0):
            raise refuse(f"{self.words()}: a host's name or IPv4 address is missing or malformed")
        self._settings(uri.query)
        return value

    def words(self) -> str:
        """Both forms."""
        return f"a host's URI such as {EXAMPLE}"

    def json_schema(self) -> dict[str, Any]:
        """The transport."""
        return {"type": "string", "pattern": r"^qemu(\+(ssh|sshcmd|tls))?://\S*$", "maxLength": 500}

    def _transport(self, uri: SplitResult) -> None:
        if uri.scheme == "qemu+tcp":
            raise refuse("qemu+ssh or qemu+tls: over plain TCP everybody on the way reads the secrets")
        if uri.scheme not in (LOCAL, *REMOTE):
            raise refuse(f"{self.words()}: the driver is qemu, reached by {', '.join(REMOTE)} or not at all")

    def _settings(self, query: str) -> None:
        for name, _ in parse_qsl(query, keep_blank_values=True):
            if name in _UNCHECKED:
                raise refuse(
                    f"a URI without {name}: the host's key is checked, by knownhosts or your own file"
                )
            if name not in SETTINGS:
                raise refuse(f"{self.words()}; behind the question mark {', '.join(SETTINGS)}")


def host_of(uri: str) -> str:
    """Which host a URI leads to: `kvm1.example.org`, or `this machine`."""
    return urlsplit(uri).hostname or "this machine"
