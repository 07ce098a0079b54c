"""Asks components on this node whether they are healthy; each check takes 5 seconds at most."""

from __future__ import annotations

import http.client
import socket
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from clustermesos_node import Failure, ask

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from clustermesos_disk import Entry


def four_letter_word(check: Entry) -> str:
    """Empty when ZooKeeper answers in one of the wanted modes, else what is wrong."""
    with socket.create_connection(("127.0.0.1", check["port"]), timeout=5) as server:
        server.sendall(check["word"].encode())
        answer = b"".join(iter(lambda: server.recv(4096), b"")).decode(errors="replace")
    if any(f"Mode: {mode}\n" in answer for mode in check["modes"]):
        return ""
    return f"no {'/'.join(check['modes'])}: {' '.join(answer.split())[:100] or 'it said nothing'}"


def http_ok(check: Entry) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    if check.get("bearer"):
        opener.addheaders = [("Authorization", f"Bearer {Path(check['bearer']).read_text().strip()}")]
    with opener.open(check["url"], timeout=5) as answer:
        body = answer.read(4096).decode(errors="replace")
    if answer.status == 200 and check.get("contains", "") in body:
        return ""
    return f"{check['url']} answered {answer.status} {body[:60]!r}"


def unit_active(check: Entry) -> str:
    state = is_active(check["unit"])
    return "" if state == "active" else f"{check['unit']} is {state or 'unknown'}"


def is_active(unit: str) -> str:
    answer: str = ask("systemctl", "is-active", unit, seconds=5).stdout.strip()
    return answer


def succeeds(check: Entry) -> str:
    done = ask(*check["command"], seconds=5)
    words = (done.stdout.strip() or done.stderr.strip() or f"exit code {done.returncode}").splitlines()
    return words[-1] if done.returncode else ""


KINDS = {
    "four_letter_word": four_letter_word,
    "http_ok": http_ok,
    "unit_active": unit_active,
    "succeeds": succeeds,
}


def outcomes(stage: Entry) -> Iterator[dict[str, Any]]:
    """One {component, check, healthy, wrong} for each check of a stage, made when it is asked for."""
    checks = [{"kind": "unit_active", "unit": c} if isinstance(c, str) else c for c in stage["checks"]]
    return (outcome(stage["component"], check) for check in checks)


def outcome(component: str, check: Entry) -> dict[str, Any]:
    try:
        wrong = KINDS[check["kind"]](check)
    except (OSError, Failure, http.client.HTTPException, ValueError) as error:
        asked = check.get("port") or check.get("url") or check.get("unit") or check.get("command")
        # The text of a ValueError holds the header, and thereby the token.
        words = error if isinstance(error, OSError | Failure) else type(error).__name__
        wrong = f"{asked}{' with ' + check['bearer'] if 'bearer' in check else ''}: {words}"
    return {"component": component, "check": check["kind"], "healthy": not wrong, "wrong": wrong}
