"""The shared cluster before a drill: booted for the first time once, healthy, and mended by nobody unseen."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from itertools import product

from constructs_lib.errors import LabError
from constructs_lib.lab.keeper import KeptLab
from tests.lab.asking import all_members_alive, members_of, quorum, resolves
from tests.lab.drill import Drill

BOOT_SECONDS = 600
"""Bounds are generous: a machine of 2 cores that does something else too needs 60."""
HEALTHY_SECONDS = 300
AT_ONCE = 4


def first_boot(lab: KeptLab, drill: Drill) -> None:
    """Power everything on, and wait until all of it is healthy, as a deploy would have to.

    Nothing is tried again and nothing rebuilt: LabError or AssertionError where a first boot fails.
    """
    drill.breaks(
        f"{len(lab.names())} machines that have nothing but a cloud's image are powered on at once",
        "every node becomes healthy from its user data alone, and the masters form one quorum",
    )
    passed = False
    try:
        lab.start()
        lab.wait(BOOT_SECONDS)
        drill.saw(f"{len(lab.names())} nodes healthy")
        drill.saw(f"quorum: {', '.join(f'{m} {mode}' for m, mode in sorted(quorum(lab).items()))}")
        passed = True
    finally:
        drill.close(passed=passed)


def settle(lab: KeptLab, *, failed_before: bool) -> None:
    """Wait until the booted cluster is healthy, and what a drill did last has reached every node.

    What a drill that failed could not mend is replaced, since its own test has told it already
    (`failed_before`). Otherwise a cluster that is not healthy is an error: nothing is rebuilt that would hide
    it.
    """
    _take_back(lab)
    if not all(state.healthy for state in lab.states()):
        _wait(lab, failed_before=failed_before)
    quorum(lab)
    all_members_alive(lab)
    asked = product(members_of(lab), ("consul.service.consul", "registry.service.consul"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda one: resolves(lab, *one), asked))


def _wait(lab: KeptLab, *, failed_before: bool) -> None:
    off = [state.name for state in lab.states() if not state.on]
    if off:
        lab.start(*off)
    try:
        lab.wait(HEALTHY_SECONDS)
    except LabError:
        if not failed_before:
            raise
        for sick in [state.name for state in lab.states() if not state.healthy]:
            lab.destroy(sick, keep_data=False)
            lab.rebuild(sick)
        lab.wait(BOOT_SECONDS)


def _take_back(lab: KeptLab) -> None:
    """Whatever a drill may have left: limits, cuts, or a mirror without power."""
    for name in lab.names():
        lab.limit_cpu(name, None)
        lab.heal(name)
    lab.mirror(up=True)
