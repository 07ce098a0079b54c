"""How a refused value and the way out of it are put into words; no secret ever gets into a message."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LONGEST = 60
_SEARCHED = 1000
"""Characters searched for an address or a token, far more than are shown: the search is quadratic."""
_PRIVATE_KEY = re.compile(r"PRIVATE KEY|AGE-SECRET-KEY-", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^/\s@]*@")
_TOKEN = re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b|\b(gh[pousr]|glpat|xox[bpars]|hvs)[_.-][A-Za-z0-9_.-]{10,}")
_SECRET_NAME = re.compile(r"passw|secret|token|credential|private|api_?key|access_?key", re.IGNORECASE)

OTHER_WORDS = {
    "slaves": "agents",
    "slave": "agents",
    "workers": "agents",
    "pools": "agents",
    "bastion": "gateway",
    "cpu": "cpus",
    "vcpus": "cpus",
    "cores": "cpus",
    "memory": "memory_gib",
    "mem": "memory_gib",
    "ram": "memory_gib",
    "memory_mib": "memory_gib",
    "disk": "disk_gib",
    "disk_gb": "disk_gib",
    "type": "instance_type",
    "size": "instance_type",
    "flavor": "instance_type",
    "cidr": "network",
    "vpc_cidr": "network",
    "cidrs": "networks",
    "keys": "ssh_keys",
    "ami": "image",
    "backend": "state",
    "availability_zones": "zones",
    "azs": "zones",
    "loadbalancer": "edge",
    "load_balancer": "edge",
}
"""What other tools call the same setting of cluster.yaml."""
APP_WORDS = {
    "mem": "memory_mib",
    "memory": "memory_mib",
    "memory_gib": "memory_mib",
    "memory_mb": "memory_mib",
    "ram": "memory_mib",
    "disk": "disk_mib",
    "disk_gib": "disk_mib",
    "replicas": "instances",
    "scale": "instances",
    "count": "instances",
    "environment": "env",
    "variables": "env",
    "cmd": "command",
    "entrypoint": "command",
    "healthcheck": "health",
    "health_check": "health",
    "liveness": "health",
    "liveness_probe": "health",
    "readiness_probe": "readiness",
    "dependencies": "depends_on",
    "needs": "depends_on",
    "volume": "state",
    "volumes": "state",
    "strategy": "deploy",
    "update": "deploy",
    "ingress": "route",
    "domain": "host",
    "team": "owner",
    "pool": "pools",
    "constraints": "attributes",
    "retention": "keep",
}
"""What other tools call the same setting of a contract."""


def show(value: object) -> str:
    """The value as an error names it: short, on one line, and never a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _show_text(value)
    if isinstance(value, dict):
        return "a group of settings" if value else "an empty group of settings"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    return _shorten(str(value))


def _show_text(value: str) -> str:
    if _PRIVATE_KEY.search(value):
        return "a private key (not shown)"
    start = value[:_SEARCHED]
    if _URL_PASSWORD.search(start):
        return "an address with a user or password in it (not shown)"
    if _TOKEN.search(start):
        return "what looks like an access token (not shown)"
    return repr(_shorten(value)) if value else "an empty text"


def _shorten(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def show_key(key: object) -> str:
    """A key as part of a path: bare where it is a plain word, quoted and shortened otherwise."""
    text = str(key)
    if re.fullmatch(r"[\w.:/@-]{1,60}", text) and not _TOKEN.search(text):
        return text
    return _show_text(text)


def show_path(path: Iterable[str | int]) -> str:
    """`sites.eu.admin.networks[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{show_key(part)}" if text else show_key(part)
    return text


def names_a_secret(path: Iterable[str | int]) -> bool:
    """Whether a setting's own name says that its value is a secret, wherever it was put."""
    return any(isinstance(part, str) and _SECRET_NAME.search(part) for part in path)


def one_of(choices: Iterable[object]) -> str:
    """`1, 3 or 5`."""
    words = [str(choice) for choice in choices]
    return " or ".join(part for part in (", ".join(words[:-1]), words[-1]) if part) if words else "nothing"


def did_you_mean(word: str, choices: Iterable[str]) -> str | None:
    """The choice that `word` was probably meant to be, None when nothing is near."""
    known = list(choices)
    plain = word.lower().replace("-", "_")
    for words in (OTHER_WORDS, APP_WORDS):
        if words.get(plain) in known:
            return words[plain]
    import difflib  # here, since a good file never needs it

    near = difflib.get_close_matches(word.lower().replace("-", "_")[:60], known, n=1, cutoff=0.7)
    return near[0] if near else None


def unknown(what: str, word: str, choices: Iterable[str]) -> str:
    """`unknown setting, did you mean masters?`, or all that there is when nothing is near."""
    known = list(choices)
    near = did_you_mean(word, known)
    return f"unknown {what}, did you mean {near}?" if near else f"unknown {what}, expected {one_of(known)}"
