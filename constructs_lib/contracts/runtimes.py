"""What a language's runtime is told of its limits, derived from the instance's memory and CPUs.

A heap as large as the container's memory is the usual end of a JVM: threads, code and buffers come on top,
and the kernel ends the container. The variables are read by each runtime itself, whatever starts it:
JAVA_TOOL_OPTIONS (JVM TI), NODE_OPTIONS (Node's CLI), GOMEMLIMIT and GOMAXPROCS (Go's runtime),
WEB_CONCURRENCY (gunicorn and uvicorn).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from constructs_lib.contracts.dev import RuntimeSpec

HEAP_PERCENT = {"jvm": 60, "node": 75, "go": 90}
VARIABLES: Mapping[str, tuple[str, ...]] = {
    "jvm": ("JAVA_TOOL_OPTIONS",),
    "node": ("NODE_OPTIONS",),
    "go": ("GOMEMLIMIT", "GOMAXPROCS"),
    "python": ("PYTHONUNBUFFERED", "WEB_CONCURRENCY"),
}
"""Kind → the variables that it sets."""


def environment(runtime: RuntimeSpec | None, *, memory_mib: int, cpus: float) -> dict[str, str]:
    """The variables for an instance of this size; empty without a runtime."""
    if runtime is None:
        return {}
    whole = max(1, math.ceil(cpus))
    heap = heap_mib(runtime, memory_mib)
    if runtime.kind == "jvm":
        # An instance that is out of memory ends, and is started anew, instead of limping on.
        return {"JAVA_TOOL_OPTIONS": f"-Xmx{heap}m -XX:+ExitOnOutOfMemoryError"}
    if runtime.kind == "node":
        return {"NODE_OPTIONS": f"--max-old-space-size={heap}"}
    if runtime.kind == "go":
        return {"GOMEMLIMIT": f"{heap}MiB", "GOMAXPROCS": str(whole)}
    return {"PYTHONUNBUFFERED": "1", "WEB_CONCURRENCY": str(whole)}


def heap_mib(runtime: RuntimeSpec, memory_mib: int) -> int:
    """The heap in MiB."""
    percent = runtime.heap_percent or HEAP_PERCENT.get(runtime.kind, 100)
    return max(1, memory_mib * percent // 100)
