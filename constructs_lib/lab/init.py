"""PID 1 of a lab's namespace: it starts the keeper, and takes every process that lost its parent.

A machine whose PID 1 ends waits until all of its processes are reaped, also those that `nsenter` put there.
The keeper can't: what it does not know may be a child whose exit code one of its threads waits for.
"""

from __future__ import annotations

import os
import signal


def continue_as_child() -> None:
    """Return in a child; this process reaps from now on, and ends as the child does.

    To be called while there is one thread. With PID 1 the kernel ends all that is in its namespace.
    """
    child = os.fork()
    if child:
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
        os._exit(_reap_until(child))


def _reap_until(child: int) -> int:
    """Its exit code, or 128 and the signal that ended it, as a shell says it."""
    while True:
        ended, status = os.wait()
        if ended == child:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code
