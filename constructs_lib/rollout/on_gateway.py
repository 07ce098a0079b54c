"""Runs at a gateway, sent there as `on_node` is: holds the site's lock for as long as signs of life arrive.

Standard input holds this text, one line of JSON (the request) and a byte now and then. One line is answered:
{"held": true}, or {"refused": …} with who has it. Python 3.11 and its standard library.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import sys
from pathlib import Path

SILENCE = 90
"""Seconds without a sign of life after which it lets go."""


def hold(state: Path, who: str) -> int:
    """Exit code 0 when the other side let go or fell silent, 1 when somebody else has the lock."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (state / "rollout.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            words = f"{lock.read().strip() or 'somebody'} changes nodes of this site"
            print(json.dumps({"refused": words}), flush=True)
            return 1
        lock.truncate(0)
        lock.write(who)
        lock.flush()
        print('{"held": true}', flush=True)
        while select.select([sys.stdin.buffer], [], [], SILENCE)[0] and os.read(0, 64):
            pass
    return 0


def main() -> int:
    """Answer one request."""
    request = json.loads(sys.stdin.buffer.readline())
    return hold(Path(request["root"]) / "var/lib/clustermesos", request["who"])


if __name__ == "__main__":
    sys.exit(main())
