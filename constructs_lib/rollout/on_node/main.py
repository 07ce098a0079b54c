"""Runs on a node, sent through SSH's standard input; nothing of it stays there.

Standard input holds the text and one line of JSON, the request. The last line of standard output is
{"answer": …} or {"refused": …}; lines before it are progress. Python 3.11 and its standard library.

    look      generations, files that differ, values of secrets as keyed hashes; changes nothing
    start     puts a generation into incoming in one step and runs clustermesos-apply, detached
    confirm   the operator can still get in: keep what `start` did
    why       what is not healthy, with the last lines of its units' journals
    link-keys takes other keys of the links to other sites, and goes back where a link does not come up
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

from constructs_lib.rollout.on_node.link_keys import link_keys
from constructs_lib.rollout.on_node.looking import look
from constructs_lib.rollout.on_node.reasons import why
from constructs_lib.rollout.on_node.running import confirm, start
from constructs_lib.rollout.on_node.state import Data, Node, RefusedError

MODES: dict[str, Callable[[Node, Data], Data]] = {
    "look": look,
    "start": start,
    "confirm": confirm,
    "why": why,
    "link-keys": link_keys,
}


def main() -> int:
    """Answer one request."""
    try:
        request = json.loads(sys.stdin.buffer.readline())
    except ValueError:
        # The connection ended before all of it was here.
        return 1
    try:
        answer = MODES[sys.argv[2]](Node(request["root"]), request)
    except RefusedError as refused:
        print(json.dumps({"refused": str(refused)}), flush=True)
        return 1
    except OSError as error:
        print(json.dumps({"refused": f"{error.filename or 'the node'}: {error.strerror}"}), flush=True)
        return 1
    print(json.dumps({"answer": answer}), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
